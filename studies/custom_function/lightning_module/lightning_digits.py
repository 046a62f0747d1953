"""A Lightning module as a trial: a callback reports, and Lightning's own checkpoint resumes."""

import lightning.pytorch as pl
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from l2rw_ray import Trial, Verdict


class _Net(pl.LightningModule):
    def __init__(self, lr, *layers):
        super().__init__()
        self.lr, self.net = lr, nn.Sequential(*layers)

    def training_step(self, batch, _):
        return cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.lr)


def main(trial: Trial, lr: float, width: int, dropout: float, epochs: int) -> None:
    """Train on the first 400 digits."""
    x, y = (torch.as_tensor(part) for part in load_digits(return_X_y=True))
    x, y = x.float().div(16).split((400, 500, 897)), y.split((400, 500, 897))
    net = _Net(lr, nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 10))
    saved, file = trial.restore(), trial.folder / "last.ckpt"

    def accuracy(part):
        return (net.eval().net(x[part]).argmax(1) == y[part]).float().mean()

    def end_epoch(trainer, _):
        trainer.save_checkpoint(file)
        stop = trial.report({"validation_accuracy": accuracy(1)}, checkpoint=file) is Verdict.STOP
        trainer.should_stop = stop

    report = pl.callbacks.LambdaCallback(on_train_epoch_end=end_epoch)
    trainer = pl.Trainer(max_epochs=epochs, callbacks=report, logger=False, enable_checkpointing=False)
    batches = DataLoader(TensorDataset(x[0], y[0]), 50, shuffle=True)
    trainer.fit(net, batches, ckpt_path=saved.path if saved else None)
    trial.finish({"test_accuracy": accuracy(2)})
