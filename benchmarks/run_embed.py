"""How many readers are embedded a second, and what the index costs.

    python benchmarks/run_embed.py [--readers 44621] [--texts 400]

`--texts` is how many different sets of traits there are: each is computed once. Uses the model that EMBEDDING_MODEL
names, in a database of its own (DATABASE_URL names the server).
"""

from __future__ import annotations

import argparse

from run_support import READERS, campaign, scratch_database, timed


def main(readers: int, texts: int) -> int:
    with scratch_database():
        from generation import embedding, engines

        campaign(readers, texts)
        with timed("load the embedder"):
            engines.get_embedder().embed(["one"])
        with timed(f"embed {readers:,} readers of {texts:,} texts", readers):
            assert embedding.embed_profiles() == readers
        with timed("again: nothing has changed", readers):
            assert embedding.embed_profiles() == 0
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readers", type=int, default=READERS)
    parser.add_argument("--texts", type=int, default=400)
    options = parser.parse_args()
    raise SystemExit(main(options.readers, options.texts))
