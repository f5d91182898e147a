"""The scheduling benchmark, small: it runs whole, and a step looks at who is due."""

from loadtest.schedule_bench import measure


def test_it_measures_the_predictor_and_steps() -> None:
    figures = measure([400, 800], 6)
    assert figures["predictor"]["least"] <= figures["predictor"]["viewers_per_s"] <= figures["predictor"]["greatest"]
    assert [size["viewers"] for size in figures["scheduler"]] == [400, 800]
    assert all(0 < size["looked_at"] < size["viewers"] for size in figures["scheduler"])
