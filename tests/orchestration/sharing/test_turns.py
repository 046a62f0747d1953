"""Turns are counted from a trial's start, and grow."""

from l2rw_ray.orchestration.sharing.turns import FIRST_TURN_S, LONGEST_TURN_S, TurnClock


def test_a_turn_begins_with_the_first_trial() -> None:
    turn = TurnClock(priority=1.0)
    turn.update(0, is_training=False, holds_any=True)
    assert not turn.is_over(100)
    turn.update(100, is_training=True, holds_any=True)
    turn.update(110, is_training=False, holds_any=True)
    assert not turn.is_over(100 + FIRST_TURN_S - 1)
    assert turn.is_over(100 + FIRST_TURN_S)


def test_each_turn_is_twice_as_long_up_to_a_limit() -> None:
    turn, now, lengths = TurnClock(priority=1.0), 0.0, []
    for _ in range(7):
        turn.update(now, is_training=True, holds_any=True)
        length = 1
        while not turn.is_over(now + length):
            length += 1
        lengths.append(length)
        turn.give_up()
        now += length
        turn.update(now, is_training=False, holds_any=False)
    assert lengths == [15, 30, 60, 120, 240, 480, LONGEST_TURN_S]


def test_a_group_that_was_lost_does_not_lengthen_turns() -> None:
    turn = TurnClock(priority=1.0)
    turn.update(0, is_training=True, holds_any=True)
    turn.update(5, is_training=False, holds_any=False)
    turn.update(10, is_training=True, holds_any=True)
    assert not turn.is_over(20)
    assert turn.is_over(25)


def test_turns_are_longer_with_a_higher_priority() -> None:
    turn = TurnClock(priority=2.0)
    turn.update(0, is_training=True, holds_any=True)
    assert not turn.is_over(29)
    assert turn.is_over(30)
