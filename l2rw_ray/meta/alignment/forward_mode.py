"""Forward-mode differentiation: one Jacobian-vector product of the loss vector along D.

Exact for any module whose operations have forward-mode rules, at the cost of about one forward more
than the training itself: the training forward is made with dual numbers, and its primal part is then
trained on.
"""

import warnings
from functools import cache

import torch
from torch import nn
from torch.autograd import forward_ad
from torch.utils.checkpoint import CheckpointError

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.alignment.interface import REMEDY, GraphScoredBatch, check_not_compiled
from l2rw_ray.meta.alignment.kernels import differentiable_kernels
from l2rw_ray.meta.alignment.registry import ESTIMATORS
from l2rw_ray.meta.alignment.tangents import carrying_layers
from l2rw_ray.meta.direction import DirectionSource
from l2rw_ray.meta.evaluation.batches import Batch
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.generators import untouched_library_generators
from l2rw_ray.meta.evaluation.losses import Parameters, trained_parameters
from l2rw_ray.meta.evaluation.replaced import replaced_forwards
from l2rw_ray.meta.replicas import Replicas


@ESTIMATORS.register("forward_mode")
class ForwardMode:
    """Exact alignments for any module.

    Where examples are coupled (train-mode BatchNorm), ∇ℓ_i is the derivative of entry i of the
    batch's loss vector.
    """

    def __init__(self) -> None:
        self._has_rules = False

    def check(self, module: nn.Module) -> None:
        """Accept every module; operations are checked when it is first evaluated."""

    def score(self, forward: Forward, batch: Batch, source: DirectionSource) -> GraphScoredBatch:
        """Score a train batch by one Jacobian-vector product along D, made with the training forward."""
        check_not_compiled(forward, "forward_mode")
        _check_without_sink(forward.replicas)
        _load_rules()
        direction = source.get().values
        if not self._has_rules:
            self._try_rules(forward, batch, direction)
        with torch.enable_grad():
            losses_B, slopes_B = _dual_losses(forward, batch, direction)
        return GraphScoredBatch(losses_B, slopes_B, forward.replicas.world_size)

    def _try_rules(self, forward: Forward, batch: Batch, direction: Parameters) -> None:
        """Check by a dry step that every operation has a forward-mode rule."""
        dry = forward.as_dry()
        name = type(forward.module).__name__
        state = forward.generators(batch)
        try:
            with untouched_library_generators(), torch.enable_grad():
                losses, _ = _dual_losses(dry, batch, direction)
                trained = [p for p in forward.module.parameters() if p.requires_grad]
                torch.autograd.grad(losses.sum(), trained, allow_unused=True)
        except CheckpointError as error:
            problem = "it runs parts of its forward again in the backward"
            raise UnsupportedModelError("model", name, problem, REMEDY) from error
        except (NotImplementedError, RuntimeError) as error:
            reason = str(error).split(". ")[0].split("\n")[0]
            if "forward" not in str(error).lower() and "jvp" not in str(error).lower():
                raise
            raise UnsupportedModelError("model", name, reason, REMEDY) from error
        finally:
            state.restore()
        self._has_rules = True


def _check_without_sink(replicas: Replicas) -> None:
    """Check that DistributedDataParallel passes no output through its own function, which has no rule.

    Raises:
        UnsupportedModelError: It does.
    """
    if replicas.parallel is None or replicas.is_alone:
        return
    for option in ("find_unused_parameters", "static_graph"):
        if getattr(replicas.parallel, option):
            problem, remedy = f"{option} has no forward-mode rule", f"leave it out, or {REMEDY}"
            raise UnsupportedModelError("model", "DistributedDataParallel", problem, remedy)


def _dual_losses(forward: Forward, batch: Batch, direction: Parameters) -> tuple[torch.Tensor, torch.Tensor]:
    """Return losses with their graph, and their derivatives along the direction, detached."""
    with (
        forward_ad.dual_level(),
        replaced_forwards(carrying_layers(forward.module)),
        differentiable_kernels(forward.module),
    ):
        duals = {
            name: forward_ad.make_dual(parameter, direction[name])
            for name, parameter in trained_parameters(forward.module).items()
        }
        losses_B, slopes_B = forward_ad.unpack_dual(forward.training(batch, duals))
    return losses_B, torch.zeros_like(losses_B) if slopes_B is None else slopes_B.detach()


@cache
def _load_rules() -> None:
    """Load torch's forward-mode rules once, without its warning about torch.jit."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
        with forward_ad.dual_level():
            forward_ad.make_dual(torch.zeros(1), torch.zeros(1))
