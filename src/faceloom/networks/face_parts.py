"""The classes of networks that tell the parts of a face apart; without the networks themselves."""

CLASSES = (
    "background", "skin", "left brow", "right brow", "left eye", "right eye", "glasses", "left ear", "right ear",
    "earring", "nose", "mouth", "upper lip", "lower lip", "neck", "necklace", "cloth", "hair", "hat",
)  # fmt: skip
"""Those of CelebAMask-HQ, in the order of BiSeNet's checkpoint."""
FACE = ("skin", "left brow", "right brow", "left eye", "right eye", "nose", "mouth", "upper lip", "lower lip")
"""Of these a face consists: without hair, ears and neck, and without what covers it."""
