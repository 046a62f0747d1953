"""A plain PyTorch loop as a trial: it reports every epoch and resumes from its last checkpoint."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from l2rw_ray import Trial, Verdict


def main(trial: Trial, lr: float, width: int, momentum: float, weight_decay: float, epochs: int) -> None:
    """Train a network of one hidden layer."""
    x, y = map(torch.as_tensor, load_digits(return_X_y=True))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(trial.seed))
    x, y = x[order].float() / 16, y[order]
    train, validation, test = slice(0, 400), slice(400, 900), slice(900, None)
    model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum, weight_decay=weight_decay)

    def accuracy(part: slice) -> float:
        return (model(x[part]).argmax(1) == y[part]).float().mean().item()

    if saved := trial.restore():
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
    for epoch in range(saved.epoch if saved else 0, epochs):
        for rows in torch.randperm(400).split(50):
            loss = cross_entropy(model(x[train][rows]), y[train][rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        metrics = {"validation_accuracy": accuracy(validation), "train_loss": loss}
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        if trial.report(metrics, epoch=epoch, checkpoint=state) is Verdict.STOP:
            return
    trial.finish({"test_accuracy": accuracy(test)})
