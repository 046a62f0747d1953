"""The same training by five loops: two by hand, and those of transformers, Accelerate and Lightning."""

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import DataLoaderConfiguration
from lightning.pytorch import LightningModule
from lightning.pytorch import Trainer as LightningTrainer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from transformers import Trainer, TrainingArguments

from l2rw_ray.meta import ReweightedStep, cycle_batches
from tests.loops.tiny import (
    MAX_NORM,
    META_SET,
    TRAIN_SET,
    Recorder,
    Setting,
    Trained,
    losses,
    optimiser_of,
)

_LIGHTNING_PRECISION = {
    (None, torch.float64): "64-true",
    (None, torch.float32): "32-true",
    ("bf16", torch.float32): "bf16-mixed",
}


def plain(setting: Setting, folder: Path) -> Trained:
    """Train by a loop written by hand."""
    model, recorder = _wrapped(setting.model().train(), setting), Recorder()
    optimizer, schedule = optimiser_of(model)
    step = ReweightedStep(model, None, losses=losses, estimator=setting.estimator)
    meta_batches = setting.meta_batches()
    for number, batch in enumerate(setting.loader(), 1):
        with setting.autocast():
            scored = step.score(batch, next(meta_batches))
        recorder.note(scored, scored.backward(scored.weights / setting.accumulation))
        if number % setting.accumulation == 0:
            nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return recorder.trained(getattr(model, "module", model))


def in_one_call(setting: Setting, folder: Path) -> Trained:
    """Train by calling the step, which steps the optimiser itself."""
    model, recorder = _wrapped(setting.model().train(), setting), Recorder()
    optimizer, schedule = optimiser_of(model)
    step = ReweightedStep(
        model,
        optimizer,
        losses=losses,
        estimator=setting.estimator,
        accumulation_steps=setting.accumulation,
        max_grad_norm=MAX_NORM,
    )
    meta_batches = setting.meta_batches()
    for number, batch in enumerate(setting.loader(), 1):
        with setting.autocast():
            result = step(batch, next(meta_batches))
        recorder.note(result, result.loss / setting.accumulation)
        if number % setting.accumulation == 0:
            schedule.step()
    return recorder.trained(getattr(model, "module", model))


def with_accelerate(setting: Setting, folder: Path) -> Trained:
    """Train by a loop with what Accelerate has prepared."""
    _forget_accelerate()
    accelerator = Accelerator(
        gradient_accumulation_steps=setting.accumulation,
        mixed_precision=setting.precision,
        cpu=True,
        dataloader_config=DataLoaderConfiguration(split_batches=True),
    )
    model, recorder = setting.model(), Recorder()
    model, optimizer, schedule, loader = accelerator.prepare(
        model, *optimiser_of(model), setting.whole_loader()
    )
    step = ReweightedStep(model, None, losses=losses, estimator=setting.estimator)
    meta_batches = setting.meta_batches()
    for batch in loader:
        with accelerator.accumulate(model):
            scored = step.score(batch, next(meta_batches))
            weights = scored.weights / accelerator.gradient_accumulation_steps
            recorder.note(scored, scored.backward(weights, scaler=accelerator.scaler))
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), MAX_NORM)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return recorder.trained(accelerator.unwrap_model(model))


def with_transformers(setting: Setting, folder: Path) -> Trained:
    """Train by the Trainer of transformers."""
    recorder = Recorder()

    class ReweightedTrainer(Trainer):
        step = None

        def training_step(
            self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
        ) -> Tensor:
            if self.step is None:
                self.step = ReweightedStep(model, None, losses=losses, estimator=setting.estimator)
                self.meta_batches = cycle_batches(self.get_eval_dataloader(META_SET))
            model.train()
            meta_batch = self._prepare_inputs(next(self.meta_batches))
            scored = self.step.score(self._prepare_inputs(inputs), meta_batch)
            weights = scored.weights / self.current_gradient_accumulation_steps
            loss = scored.backward(weights, scaler=self.accelerator.scaler)
            recorder.note(scored, loss)
            return loss

    _forget_accelerate()
    model = setting.model()
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=setting.batch_size,
        per_device_eval_batch_size=setting.meta_batch_size,
        gradient_accumulation_steps=setting.accumulation,
        max_grad_norm=MAX_NORM,
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        bf16=setting.precision == "bf16",
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = ReweightedTrainer(model, arguments, train_dataset=TRAIN_SET, optimizers=optimiser_of(model))
    trainer.train()
    return recorder.trained(model)


def with_lightning(setting: Setting, folder: Path) -> Trained:
    """Train by the Trainer of Lightning."""
    recorder, meta_batches = Recorder(), setting.meta_batches()

    class Reweighted(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False
            self.model, self.step = setting.model(), None

        def forward(self, **inputs: Any) -> Any:
            return self.model(**inputs)

        def configure_optimizers(self) -> Any:
            optimizer, schedule = optimiser_of(self.model)
            return [optimizer], [schedule]

        def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
            if self.step is None:
                model = self.trainer.strategy.model
                self.step = ReweightedStep(model, None, losses=losses, estimator=setting.estimator)
            scored = self.step.score(batch, self.transfer_batch_to_device(next(meta_batches), self.device, 0))
            scaler = getattr(self.trainer.precision_plugin, "scaler", None)
            loss = scored.backward(scored.weights / setting.accumulation, scaler=scaler)
            recorder.note(scored, loss)
            if (batch_index + 1) % setting.accumulation == 0:
                optimizer = self.optimizers()
                self.clip_gradients(optimizer, MAX_NORM, "norm")
                optimizer.step()
                self.lr_schedulers().step()
                optimizer.zero_grad()
            return loss

    module = Reweighted()
    trainer = LightningTrainer(
        max_epochs=1,
        accelerator="cpu",
        devices=setting.world_size,
        strategy="ddp" if setting.world_size > 1 else "auto",
        precision=_LIGHTNING_PRECISION[setting.precision, setting.dtype],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(module, setting.loader())
    return recorder.trained(module.model)


LOOPS = [plain, in_one_call, with_accelerate, with_transformers, with_lightning]


def _wrapped(model: nn.Module, setting: Setting) -> nn.Module:
    return DistributedDataParallel(model) if setting.world_size > 1 else model


def _forget_accelerate() -> None:
    """Let the next Accelerator have a precision of its own."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
