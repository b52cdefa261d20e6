"""usearch's exact search on one thread: exact_usearch.py QUERIES.npy BANK.npy K"""

import sys

import numpy as np
from answering import serve
from usearch.index import MetricKind, search

queries, bank = (np.load(path) for path in sys.argv[1:3])
k = int(sys.argv[3])
serve(lambda: search(bank, queries, k, MetricKind.IP, exact=True, threads=1))
