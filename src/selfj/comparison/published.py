"""Figures that the paper published, to stand beside measured ones and never among them.

Ye and Ng, "Self-Judge: Selective Instruction Following with Alignment Self-Evaluation", 2024 (arXiv 2409.00935).
Pearson x 100 with GPT-4's ratings over 850 test exchanges of each target model.
"""

CITATION = "Ye and Ng 2024 (arXiv 2409.00935)"
MODELS = ("Ours-13b", "Vicuna-13b", "WizardLM-13b", "Llama-2-13b-chat", "Llama-2-70b-chat", "average")
"""Columns of each row of `PEARSON`."""
PEARSON: dict[str, tuple[float, ...]] = {
    "cosine": (39.75, 42.81, 40.81, 59.04, 58.82, 48.25),
    "self_eval_reference": (44.66, 55.13, 48.52, 40.26, 50.70, 47.85),
    "z": (53.19, 60.77, 55.69, 64.72, 65.51, 59.98),
    "gpt35_reference": (66.41, 66.58, 69.96, 73.35, 75.81, 70.42),
    "gpt35_cosine": (68.33, 69.99, 70.90, 78.13, 78.12, 73.09),
    "self_j_teacher": (66.75, 70.95, 69.56, 72.76, 71.70, 70.34),
    "ppl": (13.22, 13.46, 6.47, 29.25, -3.99, 11.68),
    "vro": (45.20, 40.03, 38.24, 40.66, 41.47, 41.12),
    "self_eval": (1.23, 15.19, 12.75, 12.13, 15.99, 11.46),
    "gpt35": (15.21, 25.98, 19.07, 20.05, 22.78, 20.62),
    "auto_j": (37.02, 39.68, 37.88, 53.71, 49.43, 43.54),
    "ultrarm": (43.50, 44.18, 50.68, 63.83, 62.69, 52.98),
    "judge_cosine": (39.73, 38.78, 39.21, 61.20, 58.06, 47.40),
    "judge_self_eval": (45.02, 45.14, 43.61, 48.13, 44.57, 45.29),
    "self_j": (56.94, 56.67, 53.10, 64.87, 61.65, 58.65),
}
"""By key of `roster.ROSTER`."""
