"""Models ranked by scores of their outputs, and the best of several candidates: `selfj rank` and `selfj rerank`.

`read` finds the rows, `ranked` and `reranked` compute plain records, `rank_pages` and `rerank_pages` write them.
`docs/design/ranking.md` has the reasons.
"""

from selfj.ranking.rank_pages import write_ranking
from selfj.ranking.ranked import Agreement, RankedModel, Ranking, ScorerRanking, rank
from selfj.ranking.read import read_candidates
from selfj.ranking.rerank_pages import write_reranking
from selfj.ranking.reranked import Curve, Pick, Point, Reranking, Unscored, rerank

__all__ = [
    "Agreement",
    "Curve",
    "Pick",
    "Point",
    "RankedModel",
    "Ranking",
    "Reranking",
    "ScorerRanking",
    "Unscored",
    "rank",
    "read_candidates",
    "rerank",
    "write_ranking",
    "write_reranking",
]
