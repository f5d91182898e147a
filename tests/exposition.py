"""What a /metrics text must be like, whoever wrote it."""

import re

from prometheus_client.parser import text_string_to_metric_families


def check(text: str) -> set[str]:
    """Hold its families against Prometheus' conventions; the names of all families and samples.

    Types are read from the text itself: the parser would give a counter the `_total` it lacks.
    """
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    names = set(types)
    for family in text_string_to_metric_families(text):
        names |= {sample.name for sample in family.samples}
        words = family.documentation.strip()
        assert family.type in ("counter", "gauge", "histogram", "summary"), family.name
        assert words, f"{family.name} has no help"
        assert words.replace(" ", "_").lower() not in family.name, f"the help of {family.name} says what its name does"
        assert not re.search(r"_(s|ms|us|ns|seconds_\w+|kb|mb|nbytes)$", family.name), f"{family.name}: no base unit"
    for name, kind in types.items():
        assert (kind == "counter") == name.endswith("_total"), f"{name} is a {kind}"
    return names
