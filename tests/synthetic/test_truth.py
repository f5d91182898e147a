"""The log's engagements come with the probabilities the truth says."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from feedgen.events import Event
from feedgen.synthetic import KINDS, BadTruth, Network, Truth


class Seen(NamedTuple):
    """Every seen post of a network: its true probability and whether it was engaged with, per kind."""

    probability: dict[str, NDArray[np.float64]]
    engaged: dict[str, NDArray[np.bool_]]


@pytest.fixture(scope="module")
def seen(medium: Network, medium_events: list[Event]) -> Seen:
    """Read off the events alone, as someone who only has the log and the truth would."""
    views = []
    done: set[tuple[str, str, str]] = set()
    for event in medium_events:
        if event.type == "view":
            views.append(event)
        elif event.type in KINDS:
            done.add((event.type, event.actor, str(event.object)))
    rows = [(view.actor, post, view.ts) for view in views for post in view.attrs["objects"]]
    features = medium.truth.features(
        np.array([int(viewer[1:]) for viewer, _, _ in rows]),
        np.array([int(post[1:]) for _, post, _ in rows]),
        np.array([at for _, _, at in rows]),
    )
    probability = {kind: medium.truth.chances(number, features) for number, kind in enumerate(KINDS)}
    engaged = {kind: np.array([(kind, viewer, post) in done for viewer, post, _ in rows]) for kind in KINDS}
    for place in range(0, len(rows), 5_003):  # the columns are filled by the vectorised twin of `probability`
        viewer, post, at = rows[place]
        for kind in KINDS:
            assert medium.truth.probability(kind, viewer, [post], at)[0] == probability[kind][place]
    return Seen(probability, engaged)


@pytest.mark.parametrize("kind", KINDS)
def test_observed_frequency_matches_the_mean_of_the_true_probabilities(seen: Seen, kind: str) -> None:
    p = seen.probability[kind]
    spread = math.sqrt((p * (1 - p)).sum())
    assert abs(seen.engaged[kind].sum() - p.sum()) < 4.5 * spread
    assert len(p) > 150_000


@pytest.mark.parametrize("kind", KINDS)
def test_every_decile_of_the_true_probability_is_calibrated(seen: Seen, kind: str) -> None:
    p, engaged = seen.probability[kind], seen.engaged[kind]
    for rows in np.array_split(np.argsort(p, kind="stable"), 10):
        spread = math.sqrt((p[rows] * (1 - p[rows])).sum())
        assert abs(engaged[rows].sum() - p[rows].sum()) < 4.5 * max(spread, 1.0)


def test_rates_are_what_the_spec_asks_for(medium: Network, seen: Seen) -> None:
    for kind in KINDS:
        asked = getattr(medium.spec, f"{kind}_rate")
        assert seen.probability[kind].mean() == pytest.approx(asked, rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_the_probabilities_tell_posts_apart(seen: Seen, kind: str) -> None:
    low, high = np.quantile(seen.probability[kind], [0.1, 0.9])
    assert high > 4 * low


def test_a_probability_falls_with_age(medium: Network) -> None:
    truth = medium.truth
    at = float(truth.created[0])
    ages = [float(truth.probability("like", "u1", ["p0"], at + hours * 3_600)[0]) for hours in (0, 1, 12, 100)]
    assert ages == sorted(ages, reverse=True)
    assert ages[0] > 1.5 * ages[-1]
    assert truth.probability("like", "u1", ["p0"], at - 1_000)[0] == ages[0], "a post not yet created is brand-new"


def test_the_answer_is_in_the_order_asked_for(medium: Network) -> None:
    at = float(medium.spec.end)
    both = medium.truth.probability("click", "u3", ["p5", "p9", "p5"], at)
    assert both.dtype == np.float64
    assert both.tolist() == [float(medium.truth.probability("click", "u3", [p], at)[0]) for p in ("p5", "p9", "p5")]
    assert medium.truth.probability("click", "u3", [], at).shape == (0,)


@pytest.mark.parametrize("viewer", ["u1000", "u-1", "u01", "moderator", "", "p1", "u1 ", "u١"])
def test_an_unknown_viewer_is_a_key_error(medium: Network, viewer: str) -> None:
    with pytest.raises(KeyError, match="u0 to u999"):
        medium.truth.probability("like", viewer, ["p0"], 0.0)


def test_an_unknown_post_or_kind_is_refused(medium: Network) -> None:
    with pytest.raises(KeyError, match="'p99999999' is not in this network"):
        medium.truth.probability("like", "u0", ["p99999999"], 0.0)
    with pytest.raises(ValueError, match="unknown kind 'love'; known: like, comment"):
        medium.truth.probability("love", "u0", ["p0"], 0.0)


def test_a_saved_truth_says_the_same_and_has_the_same_bytes(medium: Network, tmp_path: Path) -> None:
    medium.truth.save(tmp_path / "truth.npz")
    medium.truth.save(tmp_path / "again")
    assert (tmp_path / "truth.npz").read_bytes() == (tmp_path / "again").read_bytes()
    loaded = Truth.load(tmp_path / "again")
    posts, at = [f"p{row}" for row in range(300)], float(medium.spec.end)
    for kind in KINDS:
        assert (loaded.probability(kind, "u4", posts, at) == medium.truth.probability(kind, "u4", posts, at)).all()


def test_a_file_that_is_no_truth_is_refused_in_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", bias=np.zeros(9))
    np.save(tmp_path / "array.npy", np.zeros(9))
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "empty.npz").touch()
    (tmp_path / "torn.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:60])
    for name in ("other.npz", "array.npy", "text.npz", "empty.npz", "torn.npz"):
        with pytest.raises(BadTruth, match="not the truth of a synthetic network") as refused:
            Truth.load(tmp_path / name)
        assert "\n" not in str(refused.value)
    with pytest.raises(BadTruth, match="no such file"):
        Truth.load(tmp_path / "missing.npz")
