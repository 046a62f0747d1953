"""Location and scale: the likelihoods, what β stops, and that it pays where noise differs."""

import math
from statistics import fmean

import pytest
import torch
from pydantic import TypeAdapter
from scipy import stats
from torch import Tensor, nn

from l2rw_ray.config.data.sources import CustomData
from l2rw_ray.config.method.methods import MethodConfig
from l2rw_ray.data import MetaSampler, Splits, epoch_batches, make_splits, regression_source
from l2rw_ray.methods import TrainingContext, build_method
from l2rw_ray.methods.builtin.heteroscedastic import likelihood_loss, location_and_scale
from l2rw_ray.methods.losses import squared_error
from l2rw_ray.methods.registry import output_count
from l2rw_ray.models import build_model

LIKELIHOODS = ("gaussian", "laplace")


def _outputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    output = torch.randn(50, 2, generator=generator, dtype=torch.float64)
    return output, torch.randn(50, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("likelihood", "expected", "torchs"),
    [
        ("gaussian", stats.norm, torch.distributions.Normal),
        ("laplace", stats.laplace, torch.distributions.Laplace),
    ],
)
def test_plain_likelihood_is_that_of_scipy_and_torch(likelihood, expected, torchs) -> None:
    output, y = _outputs()
    loc, scale = location_and_scale(output)
    loss = likelihood_loss(likelihood, beta=0.0)(output, y)
    torch.testing.assert_close(loss, -torchs(loc, scale).log_prob(y))
    torch.testing.assert_close(loss, -torch.from_numpy(expected.logpdf(y, loc, scale)))
    assert not torch.allclose(loss, -torchs(loc, scale * 1.01).log_prob(y))


def test_gaussian_is_torchs_loss() -> None:
    output, y = _outputs()
    loc, scale = location_and_scale(output)
    theirs = nn.GaussianNLLLoss(full=True, reduction="none")(loc, y, scale.square())
    torch.testing.assert_close(likelihood_loss("gaussian", 0.0)(output, y), theirs)


@pytest.mark.parametrize("beta", [0.3, 0.5, 1.0])
@pytest.mark.parametrize(("likelihood", "power"), [("gaussian", 2.0), ("laplace", 1.0)])
def test_beta_scales_gradients_without_one_of_its_own(likelihood, power: float, beta: float) -> None:
    output, y = _outputs()
    output.requires_grad_()
    (plain,) = torch.autograd.grad(likelihood_loss(likelihood, 0.0)(output, y).sum(), output)
    loss = likelihood_loss(likelihood, beta)(output, y)
    (scaled,) = torch.autograd.grad(loss.sum(), output)
    factor = location_and_scale(output)[1].detach().pow(power * beta)
    torch.testing.assert_close(scaled, plain * factor[:, None])
    torch.testing.assert_close(loss, likelihood_loss(likelihood, 0.0)(output, y) * factor)
    flowing = likelihood_loss(likelihood, 0.0)(output, y) * location_and_scale(output)[1].pow(power * beta)
    (wrong,) = torch.autograd.grad(flowing.sum(), output)
    assert not torch.allclose(wrong, scaled)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_at_beta_one_locations_learn_as_from_the_plain_error(likelihood: str) -> None:
    output, y = _outputs()
    output.requires_grad_()
    (gradient,) = torch.autograd.grad(likelihood_loss(likelihood, 1.0)(output, y).sum(), output)
    error = output[:, 0].detach() - y
    expected = error if likelihood == "gaussian" else error.sign()
    torch.testing.assert_close(gradient[:, 0], expected)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_an_example_that_is_met_exactly_has_a_finite_loss(likelihood: str) -> None:
    output = torch.tensor([[0.0, -1e4]], requires_grad=True)
    loss = likelihood_loss(likelihood, 0.0)(output, torch.zeros(1))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert output.grad.isfinite().all()


def _splits(seed: int) -> Splits:
    """A line whose targets are noisy by a third feature, from not at all to four deviations."""
    x = torch.randn(1000, 4, generator=torch.Generator().manual_seed(seed))
    source = regression_source(x, (x[:, 0] + 0.5 * x[:, 1]).clone())
    noise = {"kind": "gaussian", "scale": 2.0, "by": 2}
    config = CustomData(source="own:load", meta_per_class=3, test_size=200, noise=noise)
    return make_splits(source, config, seed)


def _trained(splits: Splits, method: dict, epochs: int = 15) -> nn.Module:
    config = TypeAdapter(MethodConfig).validate_python(method)
    torch.manual_seed(0)
    model = build_model("mlp", splits.train.input_shape, output_count(config, splits))
    context = TrainingContext(
        model=model,
        optimizer=torch.optim.Adam(model.parameters(), lr=3e-3),
        loss_fn=squared_error,
        meta=MetaSampler(splits.meta, None, seed=0),
        train=splits.train,
        classes=len(splits.class_names),
        epochs=epochs,
        batch_size=50,
        seed=0,
        restart=lambda: None,
    )
    built, step = build_method(config, context), 0
    for epoch in range(epochs):
        for batch in epoch_batches(splits.train, 50, 0, epoch):
            outcome = built.step(batch, step, epoch)
            step += 1
    assert outcome.loss.isfinite()
    return model


@torch.no_grad()
def _rmse(model: nn.Module, splits: Splits) -> float:
    x, y = splits.test.take(torch.arange(len(splits.test)))
    return math.sqrt(squared_error(model(x), y).mean().item())


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_it_beats_uniform_where_noise_differs_and_finds_where(likelihood: str) -> None:
    own = {"name": "heteroscedastic", "likelihood": likelihood}
    ratios, found = [], []
    for seed in range(2):
        splits = _splits(seed)
        model, plain = _trained(splits, own), _trained(splits, {"name": "uniform"})
        ratios.append(_rmse(model, splits) / _rmse(plain, splits))
        x, _ = splits.test.take(torch.arange(len(splits.test)))
        with torch.no_grad():
            scale = location_and_scale(model(x))[1]
        found.append(stats.spearmanr(scale, x[:, 2]).statistic)
    assert max(ratios) < 1
    assert fmean(ratios) < 0.85
    assert fmean(found) > 0.8
