"""How often claims hold on simulated studies, without a gain and with one, many times over.

    python benchmarks/instrument.py [REPETITIONS]

The table of results/instrument.csv, with more repetitions.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from histopair.evaluation import instrument

if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print(instrument.tabulate(count).to_string(index=False, float_format=lambda x: f"{x:.4f}"))
