"""Which figures stand for a whole part, and what was aimed at."""

HEADLINES = {
    "evouna_auroc_with_reference": ("evouna_{}_general_reference_auroc", ">= 0.95"),
    "alpacaeval_v1_spearman": ("alpacaeval_v1_coverage_reference_spearman", ">= 0.85"),
    "alpacaeval_v2_spearman": ("alpacaeval_v2_coverage_reference_spearman", ">= 0.85"),
    "alpacaeval_v2_no_null_spearman": ("alpacaeval_v2_no_null_coverage_reference_spearman", ">= 0.85"),
    "length_v1_spearman": ("alpacaeval_v1_length_spearman", ""),
    "length_v2_spearman": ("alpacaeval_v2_length_spearman", ""),
    "best_of_n_gain": ("best_of_16_v2_coverage_reference_gain", ""),
}
"""Figures that are asked for by name, and which of those below they are; of EVOUNA's three systems the lowest."""
SYSTEMS = ("fid", "gpt35", "chatgpt")
