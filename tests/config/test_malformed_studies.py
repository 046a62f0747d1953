"""Bad input gets one line that names field, value and remedy, and exit code 2."""

from pathlib import Path

import pytest

from l2rw_ray.cli import main
from l2rw_ray.config.loading import dump_study, parse_study
from l2rw_ray.errors import ConfigError

_MATRIX = "trial.data.noise={{kind: class_conditional, matrix: [{}]}}"
_LR = "{kind: float, low: 0.1, high: 1}"


def _search(space: str, *more: str) -> str:
    return _design("kind: search", f"space: {{{space}}}", "budget: {trials: 3}", *more)


def _tuned(*changes: str) -> str:
    arms = "arms: {a: {}, b: {set: {method.name: uniform}}}"
    kept = [arms, f"space: {{optim.lr: {_LR}}}", "budget: {trials: 3}"]
    return _design("kind: tuned_comparison", *_changed(kept, changes))


def _effective(*changes: str) -> str:
    kept = ["factor: data.meta_per_class", "levels: [1, 2]", "margin: 0.1"]
    return _design("kind: minimum_effective", *_changed(kept, changes))


def _table(*changes: str) -> str:
    kept = ["source: parquet", "train: a", "features: [x]", "target: y"]
    return f"trial.data={{{', '.join(_changed(kept, changes))}}}"


def _bomb(form: str) -> str:
    """Return a study that doubles in size with each of 30 lines once its aliases are replaced."""
    doubled = [f"a{n}: &a{n} {form.format(f'*a{n - 1}', f'*a{n - 1}')}" for n in range(1, 31)]
    return "\n".join(["a0: &a0 {k: v}", *doubled])


def _changed(parts: list[str], changes: tuple[str, ...]) -> list[str]:
    keys = {change.partition(":")[0] for change in changes}
    return [*(part for part in parts if part.partition(":")[0] not in keys), *changes]


def _design(*parts: str) -> str:
    return f"design={{{', '.join(parts)}}}"


MALFORMED = [
    ("trial.data.bias={kind: dominant_class, levl: 0.9}", "trial.data.bias.levl", "did you mean 'level'"),
    ("trial.data.noise.rate=1.5", "trial.data.noise.rate = 1.5", "below 1"),
    ("trial.data.noise.rate=-0.1", "trial.data.noise.rate = -0.1", "use 0"),
    ("trial.data.noise.rate=lots", "trial.data.noise.rate = 'lots'", "use a number"),
    ("trial.optim.lr=0", "trial.optim.lr = 0", "above 0"),
    ("trial.optim.lr=.nan", "trial.optim.lr = nan", "finite"),
    ("trial.optim.epochs=2.5", "trial.optim.epochs = 2.5", "whole number"),
    ("trial.optim.momentum=1.0", "trial.optim.momentum = 1.0", "below 1"),
    ("trial.method.name=l2wr", "trial.method.name = 'l2wr'", "did you mean 'l2rw'"),
    ("trial.method={name: jtt, first_epochs: 2}", "trial.method.first_epochs = 2", "use at most 1"),
    (
        "trial.method={name: finetune_meta, finetune_epochs: 5}",
        "trial.method.finetune_epochs = 5",
        "use at most 1",
    ),
    ("trial.method={name: jtt, upweight: 1}", "trial.method.upweight = 1", "above 1"),
    ("trial.method={name: jtt, lambda: 6}", "trial.method.lambda", "use one of first_epochs, name, upweight"),
    ("trial.method={name: msp_filter, drop_fraction: 1.0}", "drop_fraction = 1.0", "below 1"),
    ("trial.method={name: msp_filter, reference: given}", "method.reference = 'given'", "'given_class'"),
    ("trial.method={name: class_balanced, beta: 1.0}", "trial.method.beta = 1.0", "below 1"),
    ("trial.method={name: ldam_drw, scale: 0}", "trial.method.scale = 0", "above 0"),
    ("trial.method={name: focal, gamma: -1}", "trial.method.gamma = -1", "use 0"),
    ("trial.method={name: finetune_meta, lr_factor: 0}", "trial.method.lr_factor = 0", "above 0"),
    ("trial.model.name=lenett", "trial.model.name = 'lenett'", "did you mean 'lenet'"),
    ("trial.model.name=resnet101_bn", "trial.model.name = 'resnet101_bn'", "did you mean 'resnet"),
    ("trial.model.name=zzz", "trial.model.name = 'zzz'", "use one of mlp, lenet, paper_cnn"),
    ("trial.model={name: lenet, width: 3}", "trial.model.width", "no such field; use one of freeze"),
    ("trial.model.width=0", "trial.model.width = 0", "use 1 or more"),
    ("trial.model.dpeth=3", "trial.model.dpeth", "did you mean 'depth'"),
    ("trial.data.source=cifar", "trial.data.source = 'cifar'", "did you mean 'cifar10'"),
    (
        "trial.method.name=weight_model",
        "trial.method.name = 'weight_model'",
        "has no weight_features",
    ),
    (
        "trial={method: {name: weight_model}, data: {source: parquet, train: t}, model: {name: mlp}, "
        "optim: {name: sgd, lr: 1}}",
        "trial.data.weight_features = None",
        "name numeric columns",
    ),
    (
        "trial.method={name: weight_model, objective: joint, update_every: 2}",
        "trial.method.update_every = 2",
        "use objective: meta",
    ),
    (
        "trial.method={name: weight_model, objective: joint, max_error: 0}",
        "trial.method.max_error = 0",
        "use objective: meta",
    ),
    ("trial.method={name: l2rw, verify_every: -1}", "trial.method.verify_every = -1", "use 0 or more"),
    ("trial.method={name: l2rw, max_error: -1}", "trial.method.max_error = -1", "use 0.0 or more"),
    (
        "trial.data={source: parquet, train: t, weight_features: [a, a]}",
        "trial.data.weight_features",
        "name each once",
    ),
    (
        "trial.data={source: parquet, train: t, weight_features: [label]}",
        "trial.data.weight_features = 'label'",
        "leave it out",
    ),
    ("trial.method={name: meta_weight_net, hidden: [0]}", "trial.method.hidden[0] = 0", "use 1 or more"),
    ("trial.data=7", "trial.data = 7", "section"),
    ("trial.optim.warmup=3", "trial.optim.warmup = 3", "did you mean 'schedule.warmup'"),
    ("trial.optim.name=AdamW", "trial.optim.name = 'AdamW'", "did you mean 'adamw'"),
    ("trial.optim.name=torch.optim.RMSprop", "trial.optim.name", "write 'torch.optim:RMSprop'"),
    ("trial.optim.name=train.csv", "trial.optim.name = 'train.csv'", "module.path:attribute"),
    (
        "trial.loss={name: cross_entropy, class_weights: [0, 0]}",
        "trial.loss.class_weights = [0.0, 0.0]",
        "give one above 0",
    ),
    (
        "trial.data.transforms={train: [{name: RandAugment, magnitude: -3}]}",
        "trial.data.transforms.train[0].magnitude = -3: none of 31 magnitudes",
        "use an integer from 0 to 30",
    ),
    (
        "trial.data.transforms={train: [{name: RandAugment, magnitude: 9.5}]}",
        "trial.data.transforms.train[0].magnitude = 9.5",
        "use an integer from 0 to 30",
    ),
    (
        "trial.data.transforms={train: [{name: TrivialAugmentWide, num_magnitude_bins: 0}]}",
        "trial.data.transforms.train[0].num_magnitude_bins = 0",
        "use an integer from 2 on",
    ),
    (
        "trial.data.transforms={train: [{name: RandAugment, num_magnitude_bins: 5}]}",
        "trial.data.transforms.train[0].magnitude = 9: none of 5 magnitudes",
        "use an integer from 0 to 4",
    ),
    (
        "trial.data.transforms={train: [{name: AugMix, mixture_width: 0}]}",
        "trial.data.transforms.train[0].mixture_width = 0",
        "use 1 to 100",
    ),
    (
        "trial.data.transforms={train: [{name: AugMix, chain_depth: 0}]}",
        "trial.data.transforms.train[0].chain_depth = 0",
        "use -1, or 1 to 100",
    ),
    (
        "trial.data.transforms={train: [{name: RandomErasing, value: random}]}",
        "trial.data.transforms.train[0].value = 'random'",
        "use a number from 0 to 255",
    ),
    (
        "trial.data.transforms={train: [{name: RandomCrop, size: 8, fill: [0, 500, 0]}]}",
        "trial.data.transforms.train[0].fill = [0, 500, 0]",
        "use a number from 0 to 255",
    ),
    (
        "trial.data.transforms={train: [ToTensor]}",
        "trial.data.transforms.train[0].name = 'ToTensor'",
        "leave it out",
    ),
    (
        "trial.data.normalize={mean: [128], std: [64]}",
        "trial.data.normalize.mean[0] = 128",
        "of pixels from 0 to 1",
    ),
    ("trial.data.source=parquet", "trial.data.train = None", "add it"),
    ("trial.data={source: csv, train: a.csv}", "trial.data.features = None", "name at least one column"),
    (
        "trial.data={source: parquet, train: a, bad_rows: drop}",
        "trial.data.bad_rows = 'drop'",
        "use 'error' or 'skip'",
    ),
    (
        "trial.data={source: parquet, train: a, test_size: 9, stream: {window: 0}}",
        "trial.data.stream.window = 0",
        "use 1 or more",
    ),
    (
        "trial.data={source: parquet, train: a, stream: {}}",
        "trial.data.test_size = None",
        "give it a number",
    ),
    (
        "trial.data={source: parquet, train: a, test_size: 9, stream: {}, bad_rows: skip}",
        "trial.data.bad_rows = 'skip'",
        "use error and fix the files",
    ),
    (
        "trial.data={source: csv, train: a, test_size: 9, stream: {}, features: [x]}",
        "trial.data.stream = ",
        "leave it out, or use source parquet",
    ),
    (
        "trial.data={source: parquet, train: a, label: null, target: y, target_below: 3, test_size: 9, "
        "stream: {}}",
        "trial.data.target_below = 3.0",
        "leave such rows out of the files",
    ),
    (_table("image_mode: grey"), "trial.data.image_mode = 'grey': features are no images", "leave it out"),
    (
        "trial.data={source: image_folder, train: a, image_mode: color}",
        "trial.data.image_mode = 'color'",
        "use 'grey' or 'rgb'",
    ),
    ("trial.data={source: image_folder}", "trial.data.train = None", "add it"),
    (
        "trial.data={source: image_folder, train: a, image_size: [0, 4]}",
        "trial.data.image_size[0] = 0",
        "use 1 or more",
    ),
    ("trial.data={source: mnist, rot: a}", "trial.data.rot = 'a'", "did you mean 'root'"),
    ("design.factors={}", "design.factors = {}", "at least 1"),
    ("design.factors={method.name: []}", "design.factors.method.name = []", "at least 1"),
    ("design.factors={method.nam: [l2rw]}", "trial.method.nam = 'l2rw'", "did you mean 'name'"),
    ("design.factors={method.name: [l2rw, l2rw]}", "design.factors", "name each level once"),
    ("design.factors={method.name: l2rw}", "design.factors.method.name = 'l2rw'", "write a list"),
    ("design.kind=gird", "design.kind = 'gird'", "did you mean 'grid'"),
    ("design.when={optim.lr: {method.name: l2rw}}", "design.when.optim.lr", "add it to factors"),
    (
        "design.when={method.name: {method.nam: l2rw}}",
        "design.when.method.name.method.nam = 'l2rw'",
        "use one of",
    ),
    ("design.when={method.name: {method.name: l2rw}}", "design.when.method.name", "name other factors"),
    (
        "design={kind: grid, factors: {optim.lr: [1], method.name: [l2rw]}, "
        "when: {optim.lr: {method.name: l2rw}}}",
        "design.when.optim.lr.method.name = 'l2rw'",
        "use skip instead",
    ),
    ("design.skip=[{method.name: focal}]", "design.skip[0].method.name = 'focal'", "no level of this factor"),
    ("design.skip=[{}]", "design.skip[0] = {}", "name a factor and its level"),
    ("design={kind: ablation, variants: {}}", "design.variants = {}", "at least 1"),
    ("design={kind: ablation, variants: {a: {}}}", "design.variants.a = {}", "at least 1"),
    ("design={kind: ablation, variants: {baseline: {optim.lr: 1}}}", "design.baseline", "rename one"),
    (
        "design={kind: ablation, variants: {a: {optim.lr: 1}}, pairs: [[a, b]]}",
        "design.pairs[0] = 'b'",
        "use two of a",
    ),
    (
        "design={kind: ablation, variants: {a: {optim.lr: 1}}, factors: {optim.lr: [1]}}",
        "design.factors.optim.lr",
        "leave it out",
    ),
    ("design={kind: search, space: {}, budget: {trials: 3}}", "design.space = {}", "name a parameter"),
    (f"design={{kind: search, space: {{optim.lr: {_LR}}}}}", "design.budget = None", "add it"),
    (
        f"design={{kind: search, space: {{optim.lr: {_LR}}}, budget: {{}}}}",
        "design.budget.trials",
        "give trials",
    ),
    (_search("optim.lr: {kind: float, low: 1, high: 0.1}"), "design.space.optim.lr.high = 0.1", "larger"),
    (
        _search("optim.lr: {kind: float, low: 0, high: 1, log: true}"),
        "design.space.optim.lr.low = 0",
        "above 0",
    ),
    (_search("optim.lr: {kind: flaot, low: 0, high: 1}"), "design.space.optim.lr.kind", "'float'"),
    (_search("optim.lr: {low: 0, high: 1}"), "design.space.optim.lr.kind", "add it"),
    (_search("optim.lr: {kind: categorical, choices: [1]}"), "design.space.optim.lr.choices", "at least 2"),
    (_search("optim.lr: {kind: categorical, choices: [1, 1]}"), "optim.lr.choices = 1", "name each once"),
    (_search("optim.rl: {kind: float, low: 1, high: 2}"), "trial.optim.rl", "use one of"),
    (_search("optim.momentum: {kind: float, low: 0, high: 2}"), "trial.optim.momentum = 2.0", "below 1"),
    (
        _search("method.name: {kind: categorical, choices: [l2rw, l2wr]}"),
        "trial.method.name = 'l2wr'",
        "l2rw",
    ),
    (_search("resources.workers: {kind: int, low: 1, high: 2}"), "design.space.resources.workers", "another"),
    (_search(f"optim.lr: {_LR}", "sampler: tpa"), "design.sampler = 'tpa'", "'tpe'"),
    (
        _search(f"optim.lr: {_LR}", "when: {optim.lr: {method.name: l2rw}}"),
        "when.optim.lr.method.name",
        "name one",
    ),
    (_search(f"optim.lr: {_LR}", "stopping: {name: asha}"), "seeds = ", "use seeds: 1"),
    (
        _search(f"optim.lr: {_LR}", "further_objectives: [{metric: test_accuracy, mode: max}]"),
        "further_objectives[0].metric = 'test_accuracy'",
        "unknown",
    ),
    (
        _search("method.name: {kind: categorical, choices: [l2rw, uniform]}", "sampler: cmaes"),
        "design.sampler = 'cmaes'",
        "use tpe",
    ),
    (_tuned("stopping: {name: asha}"), "design.stopping", "no such field"),
    (
        _search("optim.epochs: {kind: int, low: 1, high: 3}", "stopping: {name: asha, grace_epochs: 5}"),
        "seeds = ",
        "use seeds: 1",
    ),
    (_tuned("search_seeds: [0]"), "design.search_seeds = 0", "use others"),
    (_effective("budget: {trials_per_parameter: 2}"), "budget.trials_per_parameter = 2", "use trials"),
    (_tuned("budget: {trials: 3, trials_per_parameter: 2}"), "budget.trials = 3", "give one of the two"),
    (_tuned("search_seeds: []"), "design.search_seeds", "at least 1"),
    (
        _tuned("arms: {a: {}, b: {set: {data.test_seed: 3}}}"),
        "design.arms.b.set.data.test_seed = 3",
        "add test_seed: 0",
    ),
    (_tuned("arms: {uniform: {}}"), "design.arms", "at least 2"),
    (_tuned("factors: {optim.lr: [1, 2]}"), "design.factors.optim.lr", "leave it out of one of the two"),
    (_tuned("factors: {resources.workers: [1, 2]}"), "design.factors.resources.workers", "for each level"),
    (_tuned("factors: {resources: [{workers: 2}]}"), "design.factors.resources", "for each level"),
    (_tuned("factors: {measurement: [{probe_rounds: 0}]}"), "design.factors.measurement", "for each level"),
    (_tuned("factors: {data.test_seed: [1, 2]}"), "design.factors.data.test_seed", "different sets"),
    (_tuned("factors: {data.meta_per_class: [1, 1]}"), "data.meta_per_class = 1", "name each level once"),
    (
        _tuned("arms: {a: {}, b: {set: {method.name: uniform}, factors: {method.update_every: [1, 2]}}}"),
        "trial.method.update_every",
        "no such field",
    ),
    ("design.factors={trial.data.noise.rate: [0.1]}", "design.factors.trial.data.noise.rate", "write data.n"),
    ("limits.duration_s=1.0e10", "limits.duration_s = 10000000000.0", "use 315360000"),
    ("seeds=[0, -1]", "seeds = -1: a seed below 0", "use seeds from 0 on"),
    (_tuned("arms: {a: {}, b: {set: {optim.lr: 1}}}"), "design.arms.b.set.optim.lr = 1", "leave one out"),
    (_tuned("arms: {a: {}, b: {set: {method.nam: l2rw}}}"), "trial.method.nam", "did you mean"),
    (_effective("levels: [1, 5, 2]"), "design.levels = 2", "small to large"),
    (_effective("levels: [1]"), "design.levels", "at least 2"),
    (_effective("margin: 0"), "design.margin = 0", "above 0"),
    (_effective("factor: data.meta_per_clas"), "trial.data.meta_per_clas", "did you mean"),
    (_effective("seek: smalest"), "design.seek = 'smalest'", "'smallest'"),
    ("seeds=0", "seeds = 0", "above 0"),
    ("seeds=[1, 1]", "seeds = [1, 1]", "name each once"),
    ("seeds=many", "seeds = 'many'", "whole number"),
    ("objective.metric=test_accuracy", "objective.metric = 'test_accuracy'", "validation_accuracy"),
    ("limits.duration_s=0", "limits.duration_s = 0", "above 0"),
    ("limits.duration_s=-1", "limits.duration_s = -1", "above 0"),
    ("limits.duration_s=.inf", "limits.duration_s = inf", "finite"),
    ("limits.memory_bytes=0", "limits.memory_bytes = 0", "above 0"),
    ("limits.memory_bytes=8G", "limits.memory_bytes = '8G'", "whole number"),
    ("limits.duration=60", "limits.duration", "did you mean 'duration_s'"),
    ("resources.workers=100", "trial.optim.batch_size = 20", "at least 100"),
    ("name=../outside", "name = '../outside'", "lower-case"),
    (
        "trial.data.bias={kind: dominant_class, level: 0.9, size: as_published}",
        "trial.data.train_size = 60",
        "set it to null",
    ),
    ("trial.data.bias={kind: long_tial, imbalance_factor: 10}", "bias.kind = 'long_tial'", "'long_tail'"),
    ("trial.data.bias={kind: long_tail}", "trial.data.bias.imbalance_factor = None", "add it"),
    ("trial.data.bias={kind: long_tail, imbalance_factor: 0.1}", "imbalance_factor = 0.1", "1.0 or more"),
    (
        "trial.data.bias={kind: long_tail, imbalance_factor: 10, size: as_published}",
        "trial.data.train_size = 60",
        "set it to null",
    ),
    (
        "trial.data={source: digits, bias: {kind: long_tail, imbalance_factor: 10}}",
        "trial.data.train_size = None",
        "give it a number",
    ),
    (
        "trial.data.bias={kind: two_class, majority: 4, minority: 4, ratio: 9}",
        "trial.data.bias.minority = 4",
        "name another class",
    ),
    ("trial.data.noise={kind: background, rate: 1}", "trial.data.noise.rate = 1", "below 1"),
    ("trial.data.noise={kind: pair}", "trial.data.noise.rate = None", "add it"),
    (_MATRIX.format("[1, 0], [1]"), "trial.data.noise.matrix[1] = [1.0]", "give a square matrix"),
    (_MATRIX.format("[1, 0], [0.5, 0.4]"), "trial.data.noise.matrix[1] = [0.5, 0.4]: it sums to 0.9", "to 1"),
    (_MATRIX.format("[1.1, -0.1], [0, 1]"), "trial.data.noise.matrix[0][0] = 1.1", "use 1.0 or less"),
    (_MATRIX.format("[1]"), "trial.data.noise.matrix = [[1]]", "at least 2"),
    ("trial.data.meta_noise.rate=0.1", "trial.data.meta_noise.rate = 0.1", "no such field"),
    ("trial.data.meta_bias={kind: two_class}", "trial.data.meta_bias.kind = 'two_class'", "dominant_class"),
    (
        "trial.data.meta_bias={kind: dominant_class, level: 0.5, size: matched}",
        "trial.data.meta_bias.size",
        "no such field",
    ),
    ("trial.data={source: parquet, train: a, features: [x], image: y}", "trial.data.image = 'y'", "null"),
    ("trial.data={source: parquet, train: a, test: a}", "trial.data.test = 'a'", "leave it out"),
    ("trial.data={source: image_folder, train: a, test: a}", "trial.data.test = 'a'", "leave it out"),
    ("trial.data={source: parquet, train: a, image: null}", "trial.data.features = None", "at least one"),
    (_table(), "objective.metric = 'validation_balanced_accuracy'", "use validation_rmse with"),
    (_table("label: b"), "trial.data.label = 'b'", "set one of the two to null"),
    (_table("target: null", "label: null"), "trial.data.label = None", "name one of"),
    (_table("target: x"), "trial.data.features = 'x'", "the target is no feature"),
    (_table("target: null", "target_below: 3"), "target_below = 3.0", "leave it out"),
    (_table("features: null", "missing: mean"), "missing = 'mean'", "leave it out"),
    (_table("noise: {kind: uniform, rate: 0.1}"), "noise.kind", "use kind: gaussian"),
    (
        _table("noise: {kind: gaussian, scale: -1}"),
        "noise.scale = -1",
        "use 0.0 or more",
    ),
    (
        _table("noise: {kind: gaussian, scale: 1, by: z}"),
        "noise.by = 'z'",
        "use one of x",
    ),
    (
        _table("noise: {kind: gaussian, scale: 1, by: 1}"),
        "noise.by = 1",
        "use one of x",
    ),
    (
        _table("train_size: 9", "bias: {kind: dominant_class, level: 0.5}"),
        "trial.data.bias.kind = 'dominant_class'",
        "use kind: none",
    ),
    (
        _table("meta_bias: {kind: dominant_class, level: 0.5}"),
        "trial.data.meta_bias.kind = 'dominant_class': a regression has no classes",
        "use kind: none",
    ),
    (
        _table("meta_noise: {kind: uniform, rate: 0.1}"),
        "trial.data.meta_noise.kind = 'uniform': a regression has no labels to flip",
        "use kind: none",
    ),
    (
        "trial.data.meta_noise={kind: gaussian, scale: 1}",
        "trial.data.meta_noise.kind = 'gaussian'",
        "none, pair",
    ),
    (_table("weight_features: [y]"), "weight_features = 'y': the target is no feature", "leave it out"),
    ("trial.data.noise={kind: gaussian, scale: 1}", "data.noise.kind = 'gaussian'", "use kind: uniform"),
    ("trial.loss=absolute", "trial.loss = 'absolute'", "leave it out"),
    ("trial.method.name=heteroscedastic", "method.name = 'heteroscedastic'", "use another method"),
    ("objective.metric=validation_rmse", "objective.metric = 'validation_rmse'", "validation_accuracy"),
    ("trial.metrics=['own:rmse']", "trial.metrics[0] = 'own:rmse'", "give yours another name"),
    ("trial.data.augment=[flop]", "trial.data.augment[0] = 'flop'", "use 'flip' or 'crop'"),
    ("trial.data.augment=[flip, flip]", "trial.data.augment[1] = 'flip'", "name each once"),
    ("trial.data.augment=flip", "trial.data.augment = 'flip'", "write a list"),
    (
        "trial.data={source: parquet, train: a, features: [x], augment: [flip]}",
        "trial.data.augment = ['flip']",
        "leave it out",
    ),
    ("trial.optim.lr.x=3", "trial.optim.lr.x = 3", "'lr' itself"),
    ("trial.model.name=resnet", "trial.model.name = 'resnet'", "name your own as module.path:attribute"),
    ("trial.method.name=l2wr", "trial.method.name = 'l2wr'", "name your own as module.path:attribute"),
    ("trial.data.source=cifar", "trial.data.source = 'cifar'", "name your own as module.path:attribute"),
    ("trial.model.name='own models:x'", "trial.model.name = 'own models:x'", "write it as module.path:"),
    ("trial.method.name=':Arm'", "trial.method.name = ':Arm'", "write it as module.path:attribute"),
    ("trial.data.source='own:'", "trial.data.source = 'own:'", "write it as module.path:attribute"),
    ("trial.metrics=[top_two]", "trial.metrics[0] = 'top_two'", "write it as module.path:attribute"),
    ("trial.metrics=['own:loss']", "trial.metrics[0] = 'own:loss'", "give yours another name"),
    ("trial.metrics=['own:a', 'other:a']", "trial.metrics[1] = 'other:a'", "give yours another name"),
    ("trial.model.name='nowhere.models:x'", "trial.model.name = 'nowhere.models:x'", "fix the import path"),
    (
        "trial.data.source='nowhere:x'",
        "trial.data.source = 'nowhere:x'",
        "in the environment; fix the import path",
    ),
    ("trial.metrics=['nowhere:x']", "trial.metrics[0] = 'nowhere:x'", "no module 'nowhere' in"),
    ("trial.model={name: lenet, options: {a: 3}}", "trial.model.options", "no such field; use one of freeze"),
    ("trial.model={name: 'own:x', optons: {}}", "trial.model.optons", "did you mean 'options'"),
    ("trial.model={name: lenet, match: order}", "trial.model.match = 'order'", "there is no file of weights"),
    (
        "trial.model={name: resnet18, weights: DEFAULT, match: order}",
        "trial.model.match = 'order'",
        "its weights have its names; leave it out",
    ),
    (
        "trial.model={name: lenet, weights: pretrained}",
        "trial.model.weights = 'pretrained'",
        "this network has no weights of that name; give a file",
    ),
    (
        "trial.model={name: 'timm:resnet18', weights: IMAGENET1K_V1}",
        "trial.model.weights = 'IMAGENET1K_V1'",
        "this network has no weights of that name",
    ),
    (
        "trial.model={name: 'own:x', weights: IMAGENET1K_V1}",
        "trial.model.weights = 'IMAGENET1K_V1'",
        "custom networks have no named weights; give a file",
    ),
    ("trial.model={name: hugging_face}", "trial.model.weights", "required but missing"),
    ("trial.model={name: 'timm:Net'}", "trial.model.name = 'timm:Net'", "match pattern"),
    ("trial.method={name: 'timm:resnet18'}", "trial.method.name = 'timm:resnet18'", "unknown"),
    ("trial.model={name: 'own:x', options: 3}", "trial.model.options = 3", "section"),
    ("trial.model={name: 'own:x', options: {a-b: 3}}", "trial.model.options.a-b = 3", "use a Python name"),
    ("trial.model={name: 'own:x', options: {a: .nan}}", "trial.model.options.a = nan", "finite"),
    ("trial.model={name: 'own:x', options: {a: 2026-01-02}}", "trial.model.options.a = 2026", "use text"),
    ("trial.model={name: own, options: {a: 1}}", "trial.model.name = 'own'", "module.path:attribute"),
    ("report=costs", "report = 'costs'", "scaling"),
    ("design.factors={lr: [0.1, 0.2]}", "trial.lr = 0.1: no such field", "did you mean 'optim.lr'?"),
    ("lr=0.1", "lr = 0.1: no such field", "did you mean 'trial.optim.lr'?"),
    ("trial.data.batch_size=3", "trial.data.batch_size = 3", "did you mean 'trial.optim.batch_size'?"),
    (
        "design.factors={level: [0.1]}",
        "trial.level",
        "did you mean 'data.bias.level' or 'data.meta_bias.level'?",
    ),
    ("trial..lr=3", "trial..lr = 3: a part of the path is empty", "write trial.lr"),
    (".=3", ". = 3: a part of the path is empty", "name a field"),
    ("trial.optim.=3", "trial.optim. = 3: a part of the path is empty", "write trial.optim"),
    ("design.factors={optim..lr: [1]}", "optim..lr = 1: a part of the path is empty", "write optim.lr"),
    (f"{'a.' * 3000}b=3", "a = 3: a path of 3001 parts", "name a field"),
    ("trial.method.name=l2wr", "trial.method.name", "did you mean 'l2rw'? Or name your own as module.path"),
    ("trial.model.name=resnet", "trial.model.name", "'? Or name your own as module.path:attribute"),
    ("seeds={start: 5, most: 2}", "seeds.most = 2: not above start = 5", "use 7 or more"),
    ("seeds=[]", "seeds = []: no seed", "or a list of seeds"),
    ("trial.optim={name: sgd, lr: [[1]]}", "trial.optim.lr = [[1]]", "use a number"),
    (
        _search("optim.batch_size: {kind: float, low: 5, high: 20}"),
        "design.space.optim.batch_size.kind = 'float': optim.batch_size takes whole numbers",
        "use kind: int",
    ),
    (
        _tuned("arms: {a: {space: {optim.epochs: {kind: float, low: 1, high: 2}}}, b: {}}"),
        "design.arms.a.space.optim.epochs.kind = 'float'",
        "use kind: int",
    ),
    (_search("optim.lr: {kind: float, low: 0.1, high: 1, step: 0.4}"), "lr.high = 1.0: no whole", "use 0.9"),
    (_search("optim.lr: {kind: float, low: 0.1, high: 1, step: 2}"), "lr.high = 1.0", "use a smaller step"),
    (_search("optim.lr: {kind: float, low: 0.1, high: 1, step: 0}"), "lr.step = 0", "above 0"),
    (_search("optim.lr: {kind: float, low: 0.1, high: 1, step: 0.1, log: true}"), "lr.step", "leave one of"),
    (
        "design={kind: ablation, variants: {a: {optim: {lr: 1}, optim.lr: 2}}}",
        "design.variants.a.optim.lr = 2: it is set to 1 too",
        "name it once",
    ),
    (
        "design={kind: ablation, variants: {a: {method: {name: mixup}, method.name: l2rw}}}",
        "design.variants.a.method.name = 'l2rw': it is set to 'mixup' too",
        "name it once",
    ),
    (
        "design={kind: ablation, variants: {a: {resources: {workers: [2]}}}}",
        "resources.workers = [2]: input should be a valid integer (design point variant = a)",
        "use a whole number",
    ),
    (
        "design={kind: grid, factors: {resources: [{workers: 2}]}}",
        "resources = {'workers': 2}: no field of it is named (design point resources = {'workers': 2})",
        "vary one, such as resources.workers",
    ),
    (
        "design={kind: grid, factors: {method: [{name: mixup, alpha: 1}], method.alpha: [2]}}",
        "design.factors.method.alpha = [2]: method sets method.alpha too",
        "leave it out of one of the two",
    ),
    (
        "design={kind: ablation, variants: {a: {method: {name: mixup, alpha: 1}}}, "
        "factors: {method.alpha: [2]}}",
        "design.factors.method.alpha = [2]: variant 'a' sets it",
        "leave it out of one of the two",
    ),
    (
        _tuned(
            "arms: {a: {}, b: {set: {method: {name: mixup, alpha: 2}}, "
            "space: {method.alpha: {kind: float, low: 1, high: 2}}}}"
        ),
        "design.arms.b.space.method.alpha",
        "leave it out of one place",
    ),
    (
        _tuned("arms: {a: {}, b: {set: {method: {name: mixup, alpha: 2}}, factors: {method.alpha: [1, 2]}}}"),
        "design.arms.b.factors.method.alpha = [1, 2]: arm 'b' sets or searches it too",
        "leave it out of one of the two",
    ),
    (
        "design={kind: ablation, variants: {a: {optim: {rl: 1}}}}",
        "trial.optim.rl = 1: no such field (design point variant = a)",
        "use one of accumulation_steps",
    ),
    (
        "objective={metric: validation_loss, mode: max}",
        "objective.mode = 'max': validation_loss is minimised",
        "use min",
    ),
    ("objective={metric: validation_accuracy, mode: min}", "objective.mode = 'min'", "use max"),
    (
        _search(f"optim.lr: {_LR}", "further_objectives: [{metric: validation_loss, mode: max}]"),
        "design.further_objectives[0].mode = 'max'",
        "use min",
    ),
    ("nonsense", "--set = 'nonsense'", "path=value"),
    ("seeds=[1", "--set seeds = '[1'", "YAML"),
]


@pytest.mark.parametrize(("override", "named", "remedy"), MALFORMED)
def test_bad_field_is_one_line_and_exit_code_2(
    override: str,
    named: str,
    remedy: str,
    study_tree: dict,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "study.yaml"
    dump_study(parse_study(study_tree), path)
    _expect_complaint(["plan", str(path), "--set", override], capsys, monkeypatch, named, remedy)


@pytest.mark.parametrize(
    ("text", "named", "remedy"),
    [
        ("name: [unclosed", "name: [unclosed", "YAML syntax"),
        ("a: 1\na: 2\n", "a: 2", "YAML syntax"),
        ("", "study file", "studies/demo.yaml"),
        ("- a\n- b\n", "study file", "studies/demo.yaml"),
        ("!!python/object/apply:os.system ['true']", "os.system", "YAML syntax"),
        ("name: x\n", "question = None", "add it"),
        ("\x00", "study.yaml", "YAML syntax"),
        (
            "name: " + "[" * 3000,
            "line 1: more than 50 sections and lists inside each other",
            "nest them less",
        ),
        ("a: &a [*a]\n", "line 1: an alias stands for nothing, or for what it is in", "its anchor before"),
        ("a: *b\n", "line 1: an alias stands for nothing", "its anchor before"),
        (_bomb("[{}, {}]"), "more than 50,000 values, aliases counted as what they stand for", "use fewer"),
        (_bomb("{{x: {}, y: {}}}"), "more than 50,000 values", "use fewer"),
        (_bomb("{{<<: [{}, {}]}}"), "more than 50,000 values", "use fewer"),
        ("# " + "x" * 2**23, "more than 4,194,304 characters", "give a study file"),
    ],
    ids=range(14),
)
def test_bad_file_is_one_line_and_exit_code_2(
    text: str,
    named: str,
    remedy: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    _expect_complaint(["plan", str(path)], capsys, monkeypatch, named, remedy)


def test_missing_file_and_folder_and_binary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = str(tmp_path / "none.yaml")
    _expect_complaint(["plan", missing], capsys, monkeypatch, "none.yaml", "give the path")
    _expect_complaint(["plan", str(tmp_path)], capsys, monkeypatch, str(tmp_path), "give the path")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    _expect_complaint(["plan", str(binary)], capsys, monkeypatch, "binary.yaml", "UTF-8")


def _expect_complaint(
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *parts: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["l2rw-ray", *arguments])
    with pytest.raises(SystemExit) as exit_info:
        main()
    output = capsys.readouterr()
    assert exit_info.value.code == 2
    assert output.out == ""
    assert output.err.count("\n") == 1, output.err
    for part in parts:
        assert part in output.err


def test_a_search_has_no_scaling_report(study_tree: dict) -> None:
    search = {"kind": "search", "space": {"optim.lr": {"kind": "float", "low": 0.1, "high": 1}}}
    tree = {**study_tree, "report": "scaling", "seeds": 1, "design": search | {"budget": {"trials": 3}}}
    with pytest.raises(ConfigError, match=r"report = 'scaling'.*use report: ablation"):
        parse_study(tree)
