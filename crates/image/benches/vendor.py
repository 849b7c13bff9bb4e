"""Times the vendor's own parser: seconds per parse, and per parse and verification, of the file given."""

import sys
import time

from azuresphere_imagemetadata.image import Image

data = open(sys.argv[1], "rb").read()
rounds = int(sys.argv[2])


def best_of_five(work):
    best = None
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(rounds):
            work()
        took = (time.perf_counter() - start) / rounds
        best = took if best is None else min(best, took)
    return best


def verify():
    assert Image(data).has_valid_signature()


if rounds == 0:
    verify()
else:
    print(best_of_five(lambda: Image(data)), best_of_five(verify))
