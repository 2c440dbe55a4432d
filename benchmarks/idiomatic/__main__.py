"""`python -m benchmarks.idiomatic PORT`, on the database that BENCH_DATABASE_URL names."""

from __future__ import annotations

import os
import sys

import uvicorn

from benchmarks.idiomatic.app import make_app


def main(port: int) -> None:
    """Serve with uvicorn at its fastest: uvloop, httptools, no access log."""
    app = make_app(os.environ["BENCH_DATABASE_URL"])
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
