"""Settings that cover others are found without comparing each with each."""

from hypothesis import given
from hypothesis import strategies as st

from l2rw_ray.report.design_points.setting import CoveringIndex, Setting, narrowest

_LEVELS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), max_size=4)
_SETTINGS = st.lists(_LEVELS.map(lambda levels: Setting(tuple(levels.items()))), max_size=12, unique=True)


@given(_SETTINGS, _SETTINGS)
def test_the_index_finds_what_comparing_all_finds_in_the_same_order(settings, others):
    index = CoveringIndex(settings)
    for other in others:
        assert index.covering(other) == [setting for setting in settings if setting.covers(other)]


@given(_SETTINGS)
def test_the_narrowest_cover_no_other(settings):
    expected = [
        setting
        for setting in settings
        if not any(setting.covers(other) for other in settings if other != setting)
    ]
    if len({len(setting.levels) for setting in settings}) > 1:
        assert list(narrowest(settings)) == expected
    else:
        assert list(narrowest(settings)) == settings
