"""What the papers print beyond the accuracy of a single experiment, in percent and as printed.

`SUSPECT` and `SUSPECT_III` name the figures that do not fit the others. Accuracies of single rows stand with their
experiments. Every figure was transcribed from the paper; nothing here was measured by this program.
"""

# Thesis, Table 4.2: the three classes that gained most, "accuracy improvement (%)" of an unstated kind.
MOST_IMPROVED = {
    "rgbs": (("French bulldog", 26), ("Spatula", 25), ("Crane", 23)),
    "rgb_1s2s": (("Spatula", 100), ("Shield, buckler", 23), ("Crane", 21)),
    "fanin1": (("Black-and-tan coonhound", 36), ("Spatula", 33), ("Streetcar", 25)),
    "fanin2": (("Can opener", 30), ("Hair spray", 22), ("Gar, garfish", 22)),
    "fanin3": (("Cradle", 46), ("French bulldog", 43), ("Space shuttle", 43)),
    "rgbs-side227": (("Chiffonier, commode", 22), ("Chain", 20), ("Thimble", 19)),
    "fanin1-side227": (("Ox", 25), ("Head cabbage", 23), ("Red-backed sandpiper", 21)),
}

# The class folders of ImageNet that these are. "Crane" is a bird and a machine; the thesis does not say which.
IMAGENET_IDS = {
    "Black-and-tan coonhound": ("n02089078",),
    "Can opener": ("n02951585",),
    "Chain": ("n02999410",),
    "Chiffonier, commode": ("n03016953",),
    "Cradle": ("n03125729",),
    "Crane": ("n02012849", "n03126707"),
    "French bulldog": ("n02108915",),
    "Gar, garfish": ("n02641379",),
    "Hair spray": ("n03476991",),
    "Head cabbage": ("n07714571",),
    "Ox": ("n02403003",),
    "Red-backed sandpiper": ("n02027492",),
    "Shield, buckler": ("n04192698",),
    "Space shuttle": ("n04266014",),
    "Spatula": ("n04270147",),
    "Streetcar": ("n04335435",),
    "Thimble": ("n04423845",),
}

# Classes of the data that a paper's figures are of: ImageNet's thousand, and the sets of the hallucination paper.
CLASSES = {"thesis": 1000}
CLASSES_OF_SET = {"Flowers": 102, "Cars": 196, "Birds": 200}

# Hallucination, Table I, Top-1 in percent by k as in `data.few_shot.SHOTS`; AlexNet, mean of several runs.
TABLE_I = {
    "Flowers": {
        "Baseline-RGB": (31.8, 45.8, 53.1, 63.6, 72.4, 76.9, 81.2, 85.1, 87.2, 87.8),
        "Baseline-RGB + scratch SAL": (34.3, 48.9, 54.3, 65.9, 73.1, 77.4, 82.3, 85.9, 88.9, 89.1),
        "SMIC": (37.6, 51.9, 57.1, 68.5, 75.2, 79.7, 84.9, 88.2, 91.2, 92.3),
        "Approach A": (36.9, 51.3, 56.9, 67.8, 74.9, 78.4, 82.9, 88.1, 90.9, 92.0),
        "Approach B": (37.3, 51.7, 57.2, 68.7, 75.6, 78.7, 83.8, 88.4, 91.7, 92.5),
    },
    "Cars": {
        "Baseline-RGB": (4.1, 7.8, 11.7, 17.3, 25.5, 31.1, 38.5, 42.2, 47.2, 60.0),
        "Baseline-RGB + scratch SAL": (5.9, 10.7, 14.4, 19.1, 27.4, 32.9, 38.5, 44.0, 48.7, 61.5),
        "SMIC": (9.3, 14.0, 18.0, 22.8, 30.0, 34.7, 40.4, 46.0, 50.0, 61.4),
        "Approach A": (9.3, 14.3, 17.4, 22.3, 28.4, 35.3, 39.7, 45.7, 50.1, 61.9),
        "Approach B": (9.8, 15.1, 18.4, 22.9, 28.8, 35.1, 39.9, 45.8, 49.7, 62.9),
    },
    "Birds": {
        "Baseline-RGB": (9.1, 13.6, 19.4, 27.7, 37.8, 44.3, 48.0, 50.0, 54.2, 57.0),
        "Baseline-RGB + scratch SAL": (10.4, 14.9, 20.3, 28.3, 38.6, 43.9, 46.9, 48.4, 50.7, 55.7),
        "SMIC": (13.1, 18.9, 22.2, 30.2, 38.7, 44.3, 48.0, 50.0, 54.2, 57.0),
        "Approach A": (11.8, 18.3, 22.1, 29.3, 39.1, 44.4, 47.8, 49.7, 53.1, 56.5),
        "Approach B": (12.9, 18.7, 22.7, 29.7, 39.4, 44.1, 48.2, 49.9, 53.9, 57.7),
    },
}
# These cells of Table I are a copy of SMIC's and do not fit the row's own average (34.8): no gain over them is given.
SUSPECT = {("Birds", "Baseline-RGB", shots) for shots in ("15", "20", "25", "30", "K")}
# Table II, Top-1 in percent on the standard splits; ResNet-152 where a method is the paper's own.
TABLE_II = {
    "Krause et al.": {"Birds": 82.0, "Cars": 92.6},
    "Bilinear-CNN": {"Birds": 84.1, "Cars": 91.3},
    "Compact Bilinear Pooling": {"Birds": 84.3, "Cars": 91.2},
    "Low-rank Bilinear Pooling": {"Birds": 84.2, "Cars": 90.9},
    "Cui et al. (with Imagenet)": {"Flowers": 96.3, "Birds": 82.8, "Cars": 91.3},
    "MA-CNN": {"Birds": 86.5, "Cars": 92.8},
    "Ge-Yu": {"Flowers": 90.3},
    "DLA": {"Birds": 85.1, "Cars": 94.1},
    "SMIC": {"Flowers": 97.8, "Birds": 86.1, "Cars": 92.4},
    "Approach A": {"Flowers": 97.3, "Birds": 84.8, "Cars": 91.7},
    "Approach B": {"Flowers": 97.9, "Birds": 85.1, "Cars": 92.1},
}
# SalClassNet, Table 4 by set: sAUC, NSS, CC. Its human baseline is the map against itself, so CC is 1.
SALCLASSNET_4_METRICS = ("sAUC", "NSS", "CC")
SALCLASSNET_4 = {
    "SalDogs": {
        "Human Baseline": (0.984, 11.195, 1),
        "SalNet": (0.720, 1.839, 0.231),
        "SALICON": (0.805, 2.056, 0.261),
        "Fine-tuned SalNet": (0.817, 4.174, 0.432),
        "Fine-tuned SALICON": (0.837, 3.899, 0.428),
        "SalClassNet": (0.862, 4.239, 0.461),
    },
    "POET": {
        "Human Baseline": (0.975, 5.189, 1),
        "SalNet": (0.646, 1.274, 0.342),
        "SALICON": (0.723, 1.270, 0.355),
        "Fine-tuned SalNet": (0.660, 1.378, 0.300),
        "Fine-tuned SALICON": (0.695, 1.669, 0.356),
        "SalClassNet": (0.715, 1.908, 0.387),
    },
    "SalBirds": {
        "Human Baseline": (0.743, 9.323, 1),
        "SalNet": (0.642, 2.252, 0.330),
        "SALICON": (0.680, 2.247, 0.346),
        "Fine-tuned SalNet": (0.644, 3.504, 0.403),
        "Fine-tuned SALICON": (0.686, 4.252, 0.507),
        "SalClassNet": (0.708, 4.404, 0.529),
    },
    "SalFlowers": {
        "Human Baseline": (0.975, 9.787, 1),
        "SalNet": (0.606, 1.311, 0.1973),
        "SALICON": (0.653, 1.081, 0.1803),
        "Fine-tuned SalNet": (0.576, 0.916, 0.136),
        "Fine-tuned SALICON": (0.661, 1.599, 0.234),
        "SalClassNet": (0.683, 1.675, 0.245),
    },
}
SUSPECT_4 = "SalBirds' human sAUC of 0.743 does not fit those of the other sets"
# Table 6, percent: features into a softmax classifier.
SALCLASSNET_6 = {
    "vgg_rgb": {"CUB-200-2011": 47.6, "Oxford Flower 102": 59.2},
    "inception_rgb": {"CUB-200-2011": 61.8, "Oxford Flower 102": 77.8},
    "salclassnet": {"CUB-200-2011": 63.2, "Oxford Flower 102": 79.4},
}
# Table III by set: AUC (its kind is not stated), KL (nats, lower is better), SIM, sAUC, InfoGain (bits).
# InfoGain + KL / ln 2 is nearly the same for all predictors of a set, except where KL is clipped and for two rows.
SUSPECT_III = "KL and InfoGain of SalGAN on Toronto, and of DeepGazeII on SID4VAM, do not fit each other"
TABLE_III_METRICS = ("AUC", "KL", "SIM", "sAUC", "InfoGain")
TABLE_III = {
    "Toronto": {
        "IKN": (0.782, 1.249, 0.366, 0.65, -0.024),
        "AIM": (0.716, 1.612, 0.314, 0.663, -0.58),
        "SDLF": (0.703, 1.518, 0.304, 0.664, -0.398),
        "GBVS": (0.803, 1.168, 0.397, 0.632, 0.077),
        "DeepGazeII": (0.838, 1.367, 0.325, 0.763, -0.2),
        "SAM-ResNet": (0.725, 2.42, 0.516, 0.666, -1.555),
        "OpenSALICON": (0.771, 1.113, 0.429, 0.716, 0.232),
        "SalGAN": (0.818, 1.272, 0.435, 0.715, 0.392),
        "Our Approach (Step I)": (0.731, 1.513, 0.394, 0.589, -0.418),
        "GroundTruth (Humans)": (0.954, 0.0, 1.0, 0.902, 2.425),
    },
    "SID4VAM": {
        "IKN": (0.678, 1.748, 0.38, 0.608, -0.233),
        "AIM": (0.566, 14.472, 0.224, 0.557, -18.181),
        "SDLF": (0.607, 3.954, 0.322, 0.596, -3.244),
        "GBVS": (0.718, 1.363, 0.413, 0.628, 0.331),
        "DeepGazeII": (0.61, 1.434, 0.335, 0.571, -0.964),
        "SAM-ResNet": (0.673, 2.61, 0.388, 0.6, -1.475),
        "OpenSALICON": (0.673, 1.549, 0.375, 0.615, 0.052),
        "SalGAN": (0.662, 2.506, 0.373, 0.593, -1.35),
        "Our Approach (Step I)": (0.721, 1.663, 0.409, 0.627, -0.125),
        "GroundTruth (Humans)": (0.882, 0.0, 1.0, 0.86, 2.802),
    },
}

# Thesis, the figures that draw a network, by experiment.
DIAGRAMS = {
    "rgbs": "Fig. 3.1a",
    "rgbs_pretrained": "Fig. 3.1a",
    "rgbxs_pretrained": "Fig. 3.1a",
    "rgb_1s2s": "Fig. 3.1b",
    "rgb_1s2s_pretrained": "Fig. 3.1b",
    "rgb_1xs2xs_pretrained": "Fig. 3.1b",
    "rgbs_1s2s_pretrained": "Fig. 3.1c",
    "rgbxs_1xs2xs_pretrained": "Fig. 3.1c",
    "fanin1": "Fig. 3.2",
    "fanin2": "Fig. 3.3",
    "fanin3": "Fig. 3.4",
}

# Shen and Liu, Tables 2 to 4, Top-1 in percent. The first four systems of each set use structured annotation.
_SYSTEMS = {
    "CUB-200-2011": {
        "PA-CNN": 82.8, "MG-CNN": 83.0, "Mask-CNN": 87.3, "HSNet": 87.5, "B-CNN": 84.1, "ST-CNN": 84.1, "PDFR": 84.5,
        "RA-CNN": 85.3, "MA-CNN": 86.5, "G2DeNet": 87.1, "ResNet50, one scale": 84.0, "ResNet50, three scales": 85.1,
        "ours, three scales": 87.9,
    },
    "Stanford Cars": {
        "R-CNN": 88.4, "MDTP": 91.3, "PA-CNN": 92.8, "HSNet": 93.9, "B-CNN": 91.3, "RA-CNN": 92.5, "G2DeNet": 92.5,
        "MA-CNN": 92.8, "ResNet50, one scale": 91.2, "ResNet50, three scales": 92.0, "ours, three scales": 94.1,
    },
    "FGVC-Aircraft": {
        "MG-CNN": 86.6, "MDTP": 88.4, "FV-CNN": 81.5, "B-CNN": 84.1, "RA-CNN": 88.2, "G2DeNet": 89.0, "MA-CNN": 89.9,
        "ResNet50, one scale": 87.9, "ResNet50, three scales": 89.1, "ours, three scales": 92.1,
    },
}  # fmt: skip
ATTENTION_2 = {f"{of_set}: {name}": {"top1": top1} for of_set, all_ in _SYSTEMS.items() for name, top1 in all_.items()}
# Table 5: trained with the local loss alone, and with the object loss alone.
_ONE_LOSS = {"CUB-200-2011": (83.9, 85.6), "Stanford Cars": (88.0, 92.2), "FGVC-Aircraft": (86.0, 89.3)}
ATTENTION_5 = {
    f"{of_set}: {name} loss alone": {"top1": top1}
    for of_set, both in _ONE_LOSS.items()
    for name, top1 in zip(("local", "object"), both, strict=True)
}
# Table 6: local level, object level and their mean, at scales 1 to 3 and over all.
_LEVELS = {
    "CUB-200-2011": ((84.8, 85.3, 85.5), (85.2, 85.4, 85.4), (85.4, 85.9, 86.1), (86.8, 87.7, 87.9)),
    "Stanford Cars": ((92.7, 92.8, 92.9), (92.9, 93.4, 93.6), (92.1, 92.4, 92.7), (93.4, 93.9, 94.1)),
    "FGVC-Aircraft": ((90.0, 90.5, 90.7), (88.6, 89.9, 90.1), (87.4, 88.6, 88.6), (90.5, 91.5, 92.1)),
}
ATTENTION_6 = {
    f"{of_set}: {scale}": dict(zip(("local", "object", "top1"), values, strict=True))
    for of_set, rows in _LEVELS.items()
    for scale, values in zip(("scale 1", "scale 2", "scale 3", "three scales"), rows, strict=True)
}
ATTENTION_IOU = 0.54  # section 5.5: mean IoU of the attended box at scale 1 with the true one, CUB-200-2011
