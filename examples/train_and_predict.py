"""The Python API on a simulated market: features, a candidate and its scorecard, a cycle, predictions.

Run it: `python examples/train_and_predict.py`. The planted signal is strong (rank IC 0.10): the gate should find it.
"""

import argparse
import tempfile
from pathlib import Path

from marketloop import FeatureEngineer, Predictor, Trainer
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.house import open_house
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.preparing import Choices
from marketloop.runtime.project import create_project


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=30)
    parser.add_argument("--sessions", type=int, default=800)
    asked = parser.parse_args()
    market = {"tickers": asked.tickers, "sessions": asked.sessions, "planted_ic": 0.10, "seed": 1}

    with tempfile.TemporaryDirectory() as folder:
        project = create_project(Path(folder) / "project", settings={"data.source": "synthetic"})
        with open_house(project.root) as house:
            ingest(house, CollectRequest(source="synthetic", options=market))

            bars = house.store.read()
            table = FeatureEngineer().create_features(bars, feature_set="basic")
            print(f"{len(bars):,} bars, {table.width - 2} features in the set basic")

            trainer = Trainer(house)
            model = trainer.train("price_predictor", choices=Choices(recipes=("rank_ridge",)))
            model.save(project.root / "mine")
            print(f"candidate {model.manifest['nominee']}: {len(model.features)} features, promoted nothing")
            card = trainer.evaluate(model)
            print(f"its recipe out of sample: rank IC {card.ic.mean:.3f}, z {card.z:.2f} over {len(card.x)} sessions")
            print(f"accuracy {card.metrics.accuracy:.3f}, no skill {card.baseline.accuracy:.3f}")

            cycle = run_cycle(house, CycleRequest(families=("price_predictor",)))
            print(f"cycle: {cycle.outcome}, because {cycle.families[0].reason}")
            for row in Predictor(house).predict(["SYN001", "SYN002"]):
                print(f"{row['ticker']}: {row['signal']}, {row['class']} with probability {row['probability']:.2f}")


if __name__ == "__main__":
    main()
