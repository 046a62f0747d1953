"""Transforms of images: by torchvision, the same for all methods, ranks and resumed trials."""

import inspect
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torchvision.transforms import v2

from l2rw_ray.config import parse_study
from l2rw_ray.config.data.sources import Data
from l2rw_ray.config.data.transform_names import REQUIRED, SAME_FOR_ALL, TRANSFORMS
from l2rw_ray.data import MetaSampler, Source, epoch_batches, make_splits
from l2rw_ray.data.transforms import ImageTransforms, draw_seeds
from l2rw_ray.errors import ConfigError, DataError

SIZES = {"train_size": 30, "meta_per_class": 2, "validation_size": 4, "test_size": 4}
DATA: TypeAdapter[Any] = TypeAdapter(Data)
TRAIN = [{"name": "RandomCrop", "size": 8, "padding": 2}, "RandAugment", {"name": "RandomErasing", "p": 0.5}]


def source(side: int = 8) -> Source:
    pixels = torch.randint(256, (60, 3, side, side), generator=torch.Generator().manual_seed(1))
    return Source(pixels.to(torch.uint8), torch.arange(60) % 2, ("a", "b"))


def sets(side: int = 8, **fields: Any) -> Any:
    return make_splits(source(side), DATA.validate_python({"source": "digits", **SIZES, **fields}), 0)


def test_names_and_options_are_those_of_torchvision() -> None:
    for name, options in TRANSFORMS.items():
        parameters = inspect.signature(getattr(v2, name)).parameters.values()
        assert tuple(each.name for each in parameters if each.name != "inplace") == options, name
        required = tuple(each.name for each in parameters if each.default is inspect.Parameter.empty)
        assert REQUIRED.get(name, ()) == required, name


@pytest.mark.parametrize("name", SAME_FOR_ALL)
def test_those_of_evaluation_draw_nothing(name: str) -> None:
    options = {"Resize": {"size": 6}, "CenterCrop": {"size": 6}, "Pad": {"padding": 1}}.get(name, {})
    transform, images = getattr(v2, name)(**options), source().inputs
    assert torch.equal(transform(images), transform(images))


def test_an_image_is_changed_as_torchvision_does_at_its_seed() -> None:
    train = sets(transforms={"train": TRAIN}).train
    images, seeds_B = train.inputs_of(torch.arange(3)), torch.tensor([5, 6, 5])
    before = torch.get_rng_state()
    found = train.transforms.augmented(images, seeds_B)
    assert torch.equal(torch.get_rng_state(), before), "the trial's other draws stay as they are"
    torch.manual_seed(6)
    by_hand = v2.Compose([v2.RandomCrop(8, padding=2), v2.RandAugment(), v2.RandomErasing(p=0.5)])(images[1])
    assert torch.equal(found[1], by_hand)
    assert torch.equal(train.transforms.augmented(images[2:], seeds_B[2:])[0], found[2])


def test_a_meta_set_that_is_trained_on_is_transformed_as_the_train_set() -> None:
    changes = {
        "train": [{"name": "RandomResizedCrop", "size": 6}],
        "evaluate": [{"name": "Resize", "size": [6, 6]}],
    }
    splits = sets(transforms=changes)
    plain, trained = MetaSampler(splits.meta, None, 0), MetaSampler(splits.meta, None, 0, augment=())
    assert trained.batch(0)[0].shape == plain.batch(0)[0].shape
    assert not torch.equal(trained.batch(0)[0], plain.batch(0)[0])
    assert not torch.equal(trained.batch(0)[0], trained.batch(1)[0])
    assert torch.equal(torch.cat([trained.batch(1, rank, 2)[0] for rank in (0, 1)]), trained.batch(1)[0])
    evaluated = sets(transforms={"evaluate": changes["evaluate"]}).meta
    flips = MetaSampler(evaluated, None, 0, augment=("flip",)).batch(0)[0]
    still = MetaSampler(evaluated, None, 0).batch(0)[0]
    is_same = (flips == still).flatten(1).all(1)
    assert torch.equal(flips[~is_same], still[~is_same].flip(-1))
    assert not is_same.all()


def test_ranks_and_passes() -> None:
    train = sets(transforms={"train": TRAIN}).train
    whole = list(epoch_batches(train, 10, 0, 1))
    for world_size in (2, 3):
        shares = [list(epoch_batches(train, 10, 0, 1, rank, world_size)) for rank in range(world_size)]
        for step, batch in enumerate(whole):
            assert torch.equal(torch.cat([share[step].x for share in shares]), batch.x)
    again, later = list(epoch_batches(train, 10, 0, 1)), list(epoch_batches(train, 10, 0, 2))
    assert all(torch.equal(one.x, other.x) for one, other in zip(whole, again, strict=True))
    assert len(draw_seeds(0, 0, 0, 64).unique()) == 64
    assert not torch.equal(whole[0].x, later[0].x)


def test_only_the_train_set_is_augmented_and_all_have_one_size() -> None:
    changes = {
        "train": [{"name": "RandomResizedCrop", "size": 6}],
        "evaluate": [{"name": "Resize", "size": [6, 6]}],
    }
    splits = sets(transforms=changes)
    assert splits.train.input_shape == splits.test.input_shape == (3, 6, 6)
    assert next(epoch_batches(splits.train, 10, 0, 0)).x.shape == (10, 3, 6, 6)
    for name in ("train", "meta", "validation", "test"):
        examples = getattr(splits, name)
        index = torch.arange(4)
        expected = v2.Resize([6, 6])(examples.inputs_of(index)).float() / 127.5 - 1
        torch.testing.assert_close(examples.take(index)[0], expected)
    epoch = next(epoch_batches(splits.meta, 4, 0, 0))
    torch.testing.assert_close(epoch.x, splits.meta.take(epoch.index)[0])


def test_pixels_are_normalised_by_the_train_images() -> None:
    splits = sets(normalize="data")
    x = splits.train.take(torch.arange(30))[0].double()
    torch.testing.assert_close(x.mean(dim=(0, 2, 3)), torch.zeros(3).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(x.std(dim=(0, 2, 3), correction=0), torch.ones(3).double(), atol=1e-5, rtol=0)
    given = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.25]}
    examples = sets(normalize=given).meta
    pixels = examples.inputs_of(torch.arange(2)).float() / 255
    expected = (pixels - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([0.5, 0.5, 0.25])[
        :, None, None
    ]
    torch.testing.assert_close(examples.take(torch.arange(2))[0], expected)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"transforms": {"train": ["RandomCorp"]}},
            r"transforms.train\[0\].name = 'RandomCorp': .* 'RandomCrop'\?",
        ),
        (
            {"transforms": {"train": ["CutMix"]}},
            "it makes one image of two, which then have no weight, label or",
        ),
        ({"transforms": {"train": ["RandomCrop"]}}, r"train\[0\].size = None: RandomCrop needs it; add size"),
        ({"transforms": {"train": [{"name": "RGB", "p": 1}]}}, r"\[0\].p = 1: no option of RGB; it has none"),
        (
            {"transforms": {"train": [{"name": "RandAugment", "n": 1}]}},
            "no option of RandAugment; use one of num_ops",
        ),
        (
            {"transforms": {"evaluate": ["RandAugment"]}},
            r"evaluate\[0\].name = .* it draws at random; use CenterC",
        ),
        (
            {"transforms": {"train": ["RGB"]}, "augment": ["flip"]},
            "transforms.train says it too; use one of the two",
        ),
        (
            {"normalize": {"mean": [0.5, 0.5], "std": [0.1]}},
            r"normalize.std = \[0.1\]: mean has 2; give one of each",
        ),
        ({"normalize": {"mean": [128], "std": [0.1]}}, r"normalize.mean\[0\] = .* equal to 1; give {mean"),
        ({"normalize": {"mean": [0.1]}}, r"normalize.std = .*field required; give {mean"),
        ({"normalize": "images"}, "normalize = 'images': unknown; use 'data', 'weights' or {mean"),
        ({"normalize": "weights"}, r"data.normalize = 'weights': model.weights are null; use data, or {mean"),
    ],
)
def test_bad_options_are_told_before_anything_is_read(study_tree: dict, fields: Any, line: str) -> None:
    study_tree["trial"]["data"] |= fields
    with pytest.raises(ConfigError, match=line):
        parse_study(study_tree)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"transforms": {"train": [{"name": "RandomCrop", "size": 6}]}},
            r"come out as \[3, 6, 6\], those .* \[3, 8, 8\]",
        ),
        ({"transforms": {"train": [{"name": "Resize", "size": -1}]}}, "trial.data.transforms.train"),
        (
            {"transforms": {"train": [{"name": "RandomCrop", "size": "x"}]}},
            "torchvision does not apply them to",
        ),
        (
            {"transforms": {"train": [{"name": "Resize", "size": 8, "interpolation": "best"}]}},
            "refuses its options",
        ),
        ({"normalize": {"mean": [0.5], "std": [0.1]}}, r"normalize = \[0.5\]: 1 channels, images have 3"),
    ],
)
def test_what_torchvision_refuses_is_one_line(fields: Any, line: str) -> None:
    with pytest.raises(DataError, match=line) as raised:
        sets(**fields)
    assert "\n" not in str(raised.value)


def test_policies_and_modes_are_text() -> None:
    config = DATA.validate_python({"source": "digits", "transforms": {"train": [
        {"name": "AutoAugment", "policy": "cifar10", "interpolation": "bilinear"}]}})  # fmt: skip
    ImageTransforms(config.transforms, (3, 8, 8)).check()
    assert DATA.validate_python(config.model_dump(mode="json")) == config
