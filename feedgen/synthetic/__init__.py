"""A seeded synthetic social network with known engagement probabilities: for the demo, the tests and the benchmarks."""

from feedgen.synthetic.jsonl import write_jsonl
from feedgen.synthetic.network import Network, generate
from feedgen.synthetic.spec import NetworkSpec
from feedgen.synthetic.truth import KINDS, BadTruth, Truth

__all__ = ["KINDS", "BadTruth", "Network", "NetworkSpec", "Truth", "generate", "write_jsonl"]
