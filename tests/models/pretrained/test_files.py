"""Weights of files: read safely, matched by name or order, with a new head where classes differ."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import save_file
from torch import nn

from l2rw_ray.config.model import Model
from l2rw_ray.errors import InputError
from l2rw_ray.import_path import TIMM
from l2rw_ray.meta import ReweightedStep, example_scores, reference_scores
from l2rw_ray.models import build_model
from l2rw_ray.models.pretrained.image_statistics import image_statistics
from l2rw_ray.models.pretrained.network import build_network

SHAPE = (3, 16, 16)
MODEL: TypeAdapter[Any] = TypeAdapter(Model)
LOSS = nn.CrossEntropyLoss(reduction="none")


def built(classes: int = 4, **section: object) -> tuple[nn.Module, Any]:
    return build_network(MODEL.validate_python(section), SHAPE, classes)


@pytest.fixture
def trained() -> nn.Module:
    torch.manual_seed(7)
    return build_model("resnet20_bn", SHAPE, 10)


def differing(one: nn.Module, other: nn.Module) -> set[str]:
    pairs = zip(one.state_dict().items(), other.state_dict().values(), strict=True)
    return {name for (name, own), given in pairs if own.shape != given.shape or not torch.equal(own, given)}


FORMS = ["safetensors", "state dict", "checkpoint", "module.", "model.", "module._orig_mod."]


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_files(trained: nn.Module, tmp_path: Path, form: str) -> None:
    state, file = trained.state_dict(), tmp_path / "weights.pth"
    match form:
        case "safetensors":
            file = file.with_suffix(".safetensors")
            save_file(state, file)
        case "state dict":
            torch.save(state, file)
        case "checkpoint":
            torch.save({"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}}, file)
        case _:
            torch.save({f"{form}{name}": value for name, value in state.items()}, file)
    network, loaded = built(10, name="resnet20_bn", weights=str(file))
    assert not differing(network, trained)
    assert loaded.text == f"{len(state)} of {len(state)} tensors of the network are those of {file}"


def test_a_head_for_other_classes_is_new_and_told(trained: nn.Module, tmp_path: Path) -> None:
    torch.save(trained.state_dict(), tmp_path / "a.pth")
    heads = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        network, loaded = built(4, name="resnet20_bn", weights=str(tmp_path / "a.pth"))
        changed = differing(network, trained)
        heads.append(network.state_dict()[max(changed)])
    layer = max(changed).rpartition(".")[0]
    assert changed == {f"{layer}.weight", f"{layer}.bias"}
    assert loaded.text.endswith(f"its head {layer} is new, with 4 outputs where that has 10")
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_weights_without_a_head(trained: nn.Module, tmp_path: Path) -> None:
    head = [name for name, part in trained.named_modules() if isinstance(part, nn.Linear)][-1]
    state = {name: value for name, value in trained.state_dict().items() if not name.startswith(head)}
    torch.save(state, tmp_path / "a.pth")
    _, loaded = built(4, name="resnet20_bn", weights=str(tmp_path / "a.pth"))
    assert loaded.text.endswith(f"its head {head} is new, with 4 outputs where that has none")


def test_a_part_of_a_head_is_not_taken(trained: nn.Module, tmp_path: Path) -> None:
    head = [name for name, part in trained.named_modules() if isinstance(part, nn.Linear)][-1]
    state = {name: value for name, value in trained.state_dict().items() if name != f"{head}.bias"}
    torch.save(state, tmp_path / "a.pth")
    network, loaded = built(10, name="resnet20_bn", weights=str(tmp_path / "a.pth"))
    assert differing(network, trained) == {f"{head}.weight", f"{head}.bias"}
    assert f"its head {head} is new" in loaded.text
    assert loaded.text.startswith(f"{len(state) - 1} of {len(state) + 1} tensors")


def test_a_hidden_layer_is_no_head(tmp_path: Path) -> None:
    section = {"name": "mlp", "width": 4}
    state = built(4, **section)[0].state_dict()
    del state[next(key for key, value in state.items() if value.shape == (4,))]
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"not the weights of mlp: 1 missing"):
        built(4, **section, weights=str(tmp_path / "a.pth"))


def test_names_of_the_released_densenets(tmp_path: Path) -> None:
    torch.manual_seed(0)
    densenet = build_model("densenet121", (3, 64, 64), 4)
    earlier = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value
        for key, value in densenet.state_dict().items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in earlier
    torch.save(earlier, tmp_path / "a.pth")
    section = MODEL.validate_python({"name": "densenet121", "weights": str(tmp_path / "a.pth")})
    network, _ = build_network(section, (3, 64, 64), 4)
    assert not differing(network, densenet)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_that_were_trained_on_centred_images(name: str) -> None:
    """`weights()` of torchvision turns images of the usual statistics into those."""
    released = MODEL.validate_python({"name": name, "weights": "DEFAULT"})
    assert image_statistics(released) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    network = build_model(name, (3, 80, 80), 4)
    assert not network.transform_input
    usual = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = torch.rand(1, 3, 2, 2)
    normalised = (pixels - usual[0].view(3, 1, 1)) / usual[1].view(3, 1, 1)
    network.transform_input = True
    torch.testing.assert_close(network._transform_input(normalised), (pixels - 0.5) / 0.5)


def test_weights_with_other_names_by_order(trained: nn.Module, tmp_path: Path) -> None:
    state = {
        f"part{place}.{name.rpartition('.')[2]}": value
        for place, (name, value) in enumerate(trained.state_dict().items())
    }
    torch.save(state, tmp_path / "a.pth")
    section = {"name": "resnet20_bn", "weights": str(tmp_path / "a.pth")}
    network, _ = built(10, **section, match="order")
    assert not differing(network, trained)
    with pytest.raises(InputError, match=r"missing \(.*, …\); .* unknown \(part0.weight, .*match: order"):
        built(10, **section)
    swapped = dict(zip(state, [*list(state.values())[1:], next(iter(state.values()))], strict=True))
    torch.save(swapped, tmp_path / "b.pth")
    with pytest.raises(
        InputError, match=r"part0.weight \[16\] stands where resnet20_bn has .* \[16, 3, 3, 3\]"
    ):
        built(10, name="resnet20_bn", weights=str(tmp_path / "b.pth"), match="order")


@pytest.mark.parametrize(
    ("section", "line"),
    [
        (
            {"name": "lenet"},
            r"'.*a.pth': not the weights of lenet: \d+ missing .*; name the network that they",
        ),
        ({"name": "resnet32_bn"}, r"missing \(.*, …\); name the network that they are of$"),
        ({"name": "resnet18"}, "not the weights of resnet18"),
        ({"weights": "none.pth"}, "model.weights = 'none.pth': no such file or directory; check the path"),
        ({"weights": "package:nothing_here/a.pth"}, "no package 'nothing_here' is installed; install it, or"),
        ({"weights": "package:torch"}, "no file of a package; write it as package:NAME/PATH"),
        ({"weights": "package:torch/../a.pth"}, "no file of a package"),
        (
            {"weights": "{}/code.pth"},
            r"holds Python objects beside tensors; give a file of safetensors, or of a state",
        ),
        ({"weights": "{}/text.pth"}, "is no file of tensors; give a file of safetensors"),
        ({"weights": "{}/int8.pth"}, "weight holds int8; give weights that are not quantised"),
        ({"weights": "{}/nan.pth"}, "weight is not finite; give weights of a training that held"),
        ({"weights": "{}/empty.pth"}, "holds no tensors by name"),
        ({"weights": "{}/text.safetensors"}, "cannot be read as weights"),
        (
            {"name": "resnet18", "weights": "IMAGENET1K_V9"},
            "no weights of resnet18; use one of IMAGENET1K_V1",
        ),
        ({"name": "resnet18_gn", "weights": "IMAGENET1K_V1"}, "torchvision has no weights of resnet18_gn"),
        (
            {"name": "lenet", "freeze_batch_norm": True, "weights": "{}/lenet.pth"},
            "lenet has no BatchNorm; leave it out",
        ),
        ({"name": "timm:resnet1818"}, "model.name = 'timm:resnet1818': unknown to timm; "),
        (
            {"name": "timm:resnet18.nope", "weights": "pretrained"},
            "model.name = 'timm:resnet18.nope': invalid pretrained tag",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(
    trained: nn.Module, tmp_path: Path, section: dict[str, Any], line: str
) -> None:
    torch.save(trained.state_dict(), tmp_path / "a.pth")
    torch.save(build_model("lenet", SHAPE, 10).state_dict(), tmp_path / "lenet.pth")
    torch.save({"run": sys.exit}, tmp_path / "code.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    (tmp_path / "text.safetensors").write_text("no tensors")
    (tmp_path / "text.pth").write_text("epoch 3\nloss")
    for kind, change in (("int8", lambda x: x.to(torch.int8)), ("nan", lambda x: x * torch.nan)):
        state = {key: change(value) for key, value in trained.state_dict().items()}
        torch.save(state, tmp_path / f"{kind}.pth")
    given = {"name": "resnet20_bn", "weights": str(tmp_path / "a.pth")} | section
    if isinstance(given["weights"], str):
        given["weights"] = given["weights"].replace("{}", str(tmp_path))
    with pytest.raises(InputError, match=line) as raised:
        built(10, **given)
    assert "\n" not in str(raised.value)


def test_a_file_of_an_installed_package(
    trained: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('it is not imported')")
    torch.save(trained.state_dict(), package / "a.pth")
    monkeypatch.syspath_prepend(tmp_path)
    network, _ = built(10, name="resnet20_bn", weights="package:some_weights/a.pth")
    assert not differing(network, trained)


def test_networks_of_timm(tmp_path: Path) -> None:
    torch.manual_seed(0)
    original = build_model(f"{TIMM}vit_tiny_patch16_224", (1, 32, 48), 5)
    assert original(torch.rand(2, 1, 32, 48)).shape == (2, 5)
    torch.save(original.state_dict(), tmp_path / "a.pth")
    section = {"name": f"{TIMM}vit_tiny_patch16_224", "weights": str(tmp_path / "a.pth")}
    network, loaded = build_network(MODEL.validate_python(section), (1, 32, 48), 3)
    assert loaded is not None
    assert loaded.head == "head"
    assert differing(network, original) == {"head.weight", "head.bias"}


def test_weights_keep_the_stem_that_they_have(tmp_path: Path) -> None:
    plain = build_model("resnet18", SHAPE, 10, {"small_stem": False})
    assert plain.conv1.kernel_size == (7, 7)
    torch.save(plain.state_dict(), tmp_path / "a.pth")
    network, _ = built(10, name="resnet18", weights=str(tmp_path / "a.pth"))
    assert not differing(network, plain)
    small = build_model("resnet18", SHAPE, 10)
    torch.save(small.state_dict(), tmp_path / "b.pth")
    network, _ = built(10, name="resnet18", weights=str(tmp_path / "b.pth"), small_stem=True)
    assert not differing(network, small)


@pytest.mark.parametrize(
    ("section", "mean"),
    [
        ({"name": "resnet18", "weights": "IMAGENET1K_V1"}, (0.485, 0.456, 0.406)),
        ({"name": f"{TIMM}tf_efficientnet_lite0", "weights": "a.pth"}, (0.5, 0.5, 0.5)),
        ({"name": f"{TIMM}efficientnet_lite0", "weights": "pretrained"}, (0.485, 0.456, 0.406)),
    ],
)
def test_weights_know_what_images_were_normalised_by(
    section: dict[str, str], mean: tuple[float, ...]
) -> None:
    assert tuple(image_statistics(MODEL.validate_python(section))[0]) == mean


def test_other_weights_do_not() -> None:
    line = r"data.normalize = 'weights': what images lenet was trained on is not known; give {mean"
    with pytest.raises(InputError, match=line):
        image_statistics(MODEL.validate_python({"name": "lenet", "weights": "a.pth"}))


def test_frozen_batch_norm_needs_weights() -> None:
    with pytest.raises(ValidationError, match="without trained weights has no statistics to normalise by"):
        MODEL.validate_python({"name": "resnet20_bn", "freeze_batch_norm": True})


def test_frozen_batch_norm_keeps_its_statistics_and_decouples_examples(
    trained: nn.Module, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    torch.save(trained.state_dict(), tmp_path / "a.pth")
    network, _ = built(10, name="resnet20_bn", freeze_batch_norm=True, weights=str(tmp_path / "a.pth"))
    network.double().eval().train()
    before = {name: value.clone() for name, value in network.named_buffers()}
    images, labels = torch.rand(6, *SHAPE).double(), torch.arange(6)
    train, meta = (images[:4], labels[:4]), (images[4:], labels[4:])
    torch.testing.assert_close(network(images)[:2], network(images[:2]))
    expected_B = reference_scores(network, LOSS, train, meta)
    torch.testing.assert_close(example_scores(network, LOSS, train, meta, estimator="ghost"), expected_B)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    result = ReweightedStep(network, optimizer, LOSS)(train, meta, labels[:4])
    assert result.weights.sum() > 0
    assert {
        name: value for name, value in network.named_buffers() if not torch.equal(value, before[name])
    } == {}
    scale = next(part.weight for part in network.modules() if isinstance(part, nn.BatchNorm2d))
    assert not torch.equal(scale, torch.ones_like(scale)), "scales are trained"
