"""A Hugging Face Trainer as a trial: a callback reports, and the Trainer's own checkpoint resumes."""

from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from l2rw_ray import Trial, Verdict

SIZE = {"vocab_size": 4, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
HOW = {"eval_strategy": "epoch", "save_strategy": "epoch", "logging_strategy": "no", "report_to": []}


def main(trial: Trial, lr: float, warmup_steps: int, layers: int, epochs: int) -> None:
    """Fine-tune a model made from a configuration; one from a hub is loaded in the same place."""

    class Report(TrainerCallback):
        def on_save(self, args, state, control, **_):
            metrics = {"validation_accuracy": state.log_history[-1]["eval_accuracy"]}
            saved = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            control.should_training_stop = trial.report(metrics, checkpoint=saved) is Verdict.STOP

    def sequences(count, seed):
        words = torch.randint(4, (count, 9), generator=torch.Generator().manual_seed(seed))
        labels = ((words == 0).sum(1) > (words == 1).sum(1)).long()
        return [{"input_ids": row, "labels": label} for row, label in zip(words, labels, strict=True)]

    def accuracy(found):
        return {"accuracy": (found.predictions.argmax(1) == found.label_ids).mean()}

    model = BertForSequenceClassification(BertConfig(**SIZE, num_hidden_layers=layers))
    how = HOW | {"learning_rate": lr, "warmup_steps": warmup_steps, "num_train_epochs": epochs}
    train, validation, test = (sequences(256, 3 * trial.seed + part) for part in range(3))
    args = TrainingArguments(str(trial.folder), per_device_train_batch_size=32, seed=trial.seed, **how)
    trainer = Trainer(model, args, None, train, validation, compute_metrics=accuracy, callbacks=[Report()])
    saved = trial.restore()
    trainer.train(resume_from_checkpoint=str(saved.path) if saved else None)
    trial.finish({"test_accuracy": trainer.evaluate(test)["eval_accuracy"]})
