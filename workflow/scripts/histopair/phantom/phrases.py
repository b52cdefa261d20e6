"""The vocabulary of the phantom's pathologists: synonyms for every attribute value."""

ORGAN = {
    "colon": ["colon", "large bowel", "colorectal"],
    "lymph-node": ["lymph node", "nodal", "axillary lymph node"],
    "breast": ["breast", "mammary"],
    "skin": ["skin", "cutaneous"],
    "lung": ["lung", "pulmonary"],
    "kidney": ["kidney", "renal"],
    "brain": ["brain", "cerebral"],
    "thyroid": ["thyroid", "thyroid gland"],
    "prostate": ["prostate", "prostatic"],
    "uterus": ["uterus", "uterine"],
    "soft-tissue": ["soft tissue", "deep soft tissue"],
    "bone": ["bone", "osseous"],
    "eye": ["eye", "ocular"],
    "mouth": ["oral cavity", "tongue"],
}
DIAGNOSIS = {
    "colon-fat": [
        "benign adipose tissue",
        "mature pericolic fat",
        "fibroadipose tissue without tumour",
    ],
    "colon-background": [
        "no tissue on the slide",
        "empty glass, insufficient specimen",
        "blank background only",
    ],
    "colon-debris": [
        "necrotic debris",
        "necrosis, ghost cells and debris only",
        "acellular necrotic material",
    ],
    "colon-lymphoid": [
        "lymphoid aggregate",
        "reactive lymphoid tissue",
        "dense lymphocytes of a lymphoid follicle",
    ],
    "colon-mucin": [
        "acellular mucin",
        "pools of extracellular mucin",
        "mucus lakes without epithelium",
    ],
    "colon-muscle": [
        "smooth muscle",
        "muscularis propria without tumour",
        "benign smooth muscle bundles",
    ],
    "colon-mucosa": [
        "normal colonic mucosa",
        "unremarkable colon mucosa with crypts",
        "benign large bowel mucosa",
    ],
    "colon-stroma": [
        "desmoplastic stroma",
        "cancer-associated fibrous stroma",
        "fibrosis and collagenous stroma",
    ],
    "colon-carcinoma": [
        "colorectal adenocarcinoma",
        "invasive adenocarcinoma of the colon",
        "colonic adenocarcinoma",
    ],
    "node-lymphoid": [
        "benign lymph node",
        "lymph node negative for tumour",
        "reactive lymph node without metastasis",
    ],
    "node-sinus": [
        "sinus histiocytosis, benign node",
        "lymph node with sinus histiocytosis",
        "reactive node with dilated sinuses",
    ],
    "node-fat": [
        "fatty lymph node, benign",
        "lymph node replaced by adipose tissue",
        "benign nodal fat",
    ],
    "node-capsule": [
        "fibrous capsule of a benign node",
        "benign nodal fibrosis",
        "thick collagenous capsule without tumour",
    ],
    "node-metastasis": [
        "metastatic carcinoma in lymph node",
        "lymph node positive for metastasis",
        "nodal metastasis of carcinoma",
    ],
    "breast-lobule": [
        "normal breast tissue",
        "unremarkable breast parenchyma",
        "normal terminal duct lobular units",
    ],
    "breast-fat": [
        "normal breast adipose tissue",
        "unremarkable fatty breast",
        "benign fat of the breast",
    ],
    "breast-adenoma": [
        "fibroadenoma",
        "benign fibroepithelial lesion, fibroadenoma",
        "benign fibroadenoma",
    ],
    "breast-adenosis": ["sclerosing adenosis", "benign adenosis", "adenosis, a benign change"],
    "breast-hyperplasia": [
        "usual ductal hyperplasia",
        "benign fibrocystic change",
        "benign proliferative breast disease",
    ],
    "breast-dcis": ["ductal carcinoma in situ", "DCIS", "intraductal carcinoma, non-invasive"],
    "breast-ductal": [
        "invasive ductal carcinoma",
        "invasive carcinoma of no special type",
        "infiltrating ductal carcinoma",
    ],
    "breast-lobular": ["invasive lobular carcinoma", "infiltrating lobular carcinoma"],
    "breast-mucinous": [
        "invasive mucinous carcinoma",
        "mucinous (colloid) carcinoma of the breast",
    ],
    "skin-normal": ["normal skin", "unremarkable epidermis and dermis"],
    "skin-dermatitis": ["dermatitis", "inflamed skin, benign"],
    "skin-squamous": [
        "squamous cell carcinoma of the skin",
        "invasive keratinising squamous carcinoma",
    ],
    "skin-melanoma": ["malignant melanoma", "invasive melanoma"],
    "lung-alveoli": ["normal lung", "unremarkable alveolar parenchyma"],
    "lung-granuloma": ["necrotising granuloma", "granulomatous inflammation"],
    "lung-carcinoma": ["adenocarcinoma of the lung", "pulmonary adenocarcinoma"],
    "kidney-cortex": ["normal renal cortex", "unremarkable kidney tubules"],
    "kidney-nephritis": ["interstitial nephritis", "tubulointerstitial inflammation"],
    "kidney-carcinoma": ["clear cell renal cell carcinoma", "renal carcinoma of clear cells"],
    "brain-cortex": ["normal cerebral cortex", "unremarkable neuropil"],
    "brain-glioma": ["high grade glioma", "diffuse astrocytic glioma"],
    "thyroid-follicles": ["normal thyroid", "benign follicles with colloid"],
    "thyroid-papillary": ["papillary thyroid carcinoma", "thyroid carcinoma of papillary type"],
    "prostate-benign": ["benign prostate", "benign prostatic glands"],
    "prostate-carcinoma": ["acinar adenocarcinoma of the prostate", "prostatic adenocarcinoma"],
    "uterus-endometrium": ["proliferative endometrium", "benign endometrial glands"],
    "uterus-leiomyoma": ["leiomyoma", "benign smooth muscle tumour"],
    "uterus-smear": ["benign squamous cells", "negative cervical smear"],
    "lung-smear": ["malignant cells in the aspirate", "cytology positive for carcinoma"],
    "soft-lipoma": ["lipoma", "benign lipomatous tumour"],
    "soft-sarcoma": ["spindle cell sarcoma", "high cellularity sarcoma"],
    "bone-marrow": ["normal bone with marrow", "benign trabecular bone"],
    "bone-osteosarcoma": ["osteosarcoma", "osteoid-forming sarcoma"],
    "node-lymphoma": ["large cell lymphoma", "malignant lymphoma"],
    "eye-retinoblastoma": ["retinoblastoma", "small round blue cell tumour of the retina"],
    "mouth-mucosa": ["normal oral mucosa", "unremarkable squamous mucosa"],
    "mouth-squamous": ["squamous cell carcinoma of the oral cavity", "oral squamous carcinoma"],
}
ARCHITECTURE = {
    "adipocytes": ["clear fat cells with thin membranes", "sheets of adipocytes"],
    "empty": ["bare glass", "an empty field"],
    "debris": ["granular eosinophilic debris", "amorphous pink material with nuclear dust"],
    "sheets": ["sheets of small round cells", "a monotonous population of round dark nuclei"],
    "follicles": ["follicles with germinal centres", "a pale germinal centre with a dark mantle"],
    "sinuses": ["dilated sinuses with histiocytes", "open sinuses between cords of lymphocytes"],
    "pools": ["lakes of pale mucin", "streaming pale blue mucus"],
    "bundles": [
        "parallel bundles of smooth muscle fibres",
        "interlacing eosinophilic fascicles with blunt nuclei",
    ],
    "crypts": [
        "round crypts lined by goblet cells",
        "evenly spaced tubular glands with goblet cells",
    ],
    "collagen": [
        "wavy collagen bundles with fibroblasts",
        "dense fibrous tissue with spindled fibroblasts",
    ],
    "irregular-glands": [
        "irregular infiltrating glands",
        "angulated malignant glands with stratified nuclei",
    ],
    "cribriform": ["cribriform sheets", "fused glands with punched-out spaces"],
    "solid": ["solid sheets of tumour cells", "a solid growth pattern without glands"],
    "nests": ["nests of tumour cells", "rounded tumour islands"],
    "cords": ["cords and trabeculae of tumour cells", "thin trabecular cords"],
    "single-cells": ["single files of discohesive cells", "single cells infiltrating the stroma"],
    "mucinous-nests": ["tumour nests floating in mucin", "islands of cells in mucin lakes"],
    "lobules": ["small acini grouped in lobules", "lobular units of small acini"],
    "ducts": [
        "ducts with open lumens and two cell layers",
        "branching ducts with a myoepithelial layer",
    ],
    "slit-ducts": [
        "slit-like compressed ducts in abundant stroma",
        "elongated ducts within a loose stroma",
    ],
    "adenosis": ["crowded compressed acini", "small distorted acini in a fibrous stroma"],
    "hyperplastic-ducts": [
        "ducts filled with streaming cells and irregular slits",
        "epithelial proliferation with peripheral fenestrations",
    ],
    "cysts": ["dilated cysts with apocrine lining", "cystic ducts lined by pink apocrine cells"],
    "filled-ducts": [
        "ducts distended by a solid proliferation with intact outline",
        "solid intraductal growth with smooth borders",
    ],
    "comedo": ["ducts with central comedo necrosis", "comedo type intraductal growth"],
    "cribriform-ducts": ["cribriform intraductal growth", "ducts with rigid punched-out lumens"],
    "squamous": ["stratified squamous epithelium", "layered squamous epithelium over dermis"],
    "keratin-nests": ["infiltrating squamous nests with keratin pearls", "keratinising islands"],
    "alveoli": ["thin alveolar septa", "air spaces with delicate walls"],
    "granuloma": ["epithelioid histiocytes around caseation", "a palisaded granuloma"],
    "tubules": ["closely packed tubules", "pink tubules back to back"],
    "clear-nests": ["nests of clear cells", "cells with clear cytoplasm and distinct borders"],
    "neuropil": ["a fibrillary background", "glial cells in a fine fibrillary matrix"],
    "colloid-follicles": ["follicles filled with colloid", "round follicles with pink colloid"],
    "small-glands": ["small crowded infiltrating glands", "tiny round glands in a single layer"],
    "tubular-glands": ["tubular glands in a cellular stroma", "evenly spaced endometrial tubules"],
    "fascicles": ["crossing fascicles of spindle cells", "herringbone fascicles"],
    "trabeculae": ["bony trabeculae", "lamellar beams of bone"],
    "rosettes": ["rosettes of small blue cells", "Flexner type rosettes"],
    "smear-cells": ["dispersed polygonal cells on a clean background", "flat single cells"],
    "smear-clusters": ["crowded three-dimensional clusters", "dark overlapping clusters"],
}
GRADE = {
    1: ["well differentiated", "low grade nuclei", "grade 1", "mild nuclear atypia"],
    2: [
        "moderately differentiated",
        "intermediate grade nuclei",
        "grade 2",
        "moderate nuclear atypia",
    ],
    3: ["poorly differentiated", "high grade nuclei", "grade 3", "marked pleomorphism"],
}
MITOSES = {
    0: ["no mitotic figures are seen", "mitoses are absent"],
    1: ["rare mitoses", "occasional mitotic figures"],
    2: ["several mitoses", "mitotic figures are readily found"],
    3: ["numerous mitoses", "brisk mitotic activity"],
}
# Amounts: words for little and for much; the grammar says which from the thresholds in LEVELS.
NECROSIS = {
    0: ["no evidence of necrosis", "without necrosis", "necrosis is not identified"],
    1: ["focal necrosis", "small foci of necrosis"],
    2: ["extensive necrosis", "abundant necrotic debris"],
}
LYMPHOCYTES = {
    0: ["no significant inflammation", "inflammation is absent"],
    1: ["scattered lymphocytes", "a mild lymphocytic infiltrate"],
    2: ["a dense lymphocytic infiltrate", "brisk inflammation with many lymphocytes"],
}
STROMA = {
    0: ["little stroma", "scant intervening stroma"],
    1: ["moderate fibrous stroma", "some intervening stroma"],
    2: ["abundant fibrous stroma", "dense collagenous stroma"],
}
MUCIN = {
    0: ["no mucin", "mucin is not seen"],
    1: ["focal mucin", "some mucin"],
    2: ["abundant mucin", "prominent mucin"],
}
FAT = {
    0: ["no fat included", "adipose tissue is absent"],
    1: ["a little adipose tissue", "entrapped fat cells"],
    2: ["abundant adipose tissue", "much fat"],
}
FINDINGS = {
    "necrosis": NECROSIS,
    "lymphocytes": LYMPHOCYTES,
    "stroma": STROMA,
    "mucin": MUCIN,
    "fat": FAT,
}
LEVELS = {
    "necrosis": (0.04, 0.18),
    "lymphocytes": (0.06, 0.3),
    "stroma": (0.12, 0.45),
    "mucin": (0.04, 0.3),
    "fat": (0.03, 0.3),
}
OPENINGS = [
    "here we see",
    "so this is",
    "at this power we have",
    "notice",
    "this field shows",
    "on the slide there is",
    "you can appreciate",
]
CONTEXT = {
    "child": ["in a young child", "from a pediatric patient"],
    "infection": ["with a suspected infection", "cultures grew an organism"],
    "molecular": ["sequencing found a driver mutation", "FISH was positive for the rearrangement"],
    "none": [""],
}
