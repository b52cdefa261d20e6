"""The catalogue of what phantom patients can have: one line per entity, a fact sheet for the rest.

Ranges are `low-high`: nuclear_grade and mitoses are ordinals 0 to 3 (0: none or benign nuclei),
necrosis to fat are percent of the tile's area. Alternatives of architecture are joined by `|`.
"""

# ruff: noqa: E501 - a table is read by its columns

import io

import pandas as pd

_CATALOGUE = """
entity            organ       tissue     behaviour architecture                     grade mitoses necrosis lymphocytes stroma mucin  fat
colon-fat         colon       adipose    normal    adipocytes                       0-0   0-0     0-2      0-5         2-14   0-0    86-98
colon-background  colon       background none      empty                            0-0   0-0     0-0      0-0         0-0    0-0    0-0
colon-debris      colon       necrosis   none      debris                           0-0   0-0     70-98    0-20        0-10   0-15   0-0
colon-lymphoid    colon       lymphoid   normal    sheets|follicles                 0-0   0-1     0-0      75-98       0-12   0-0    0-4
colon-mucin       colon       mucin      none      pools                            0-0   0-0     0-8      0-6         2-20   70-96  0-0
colon-muscle      colon       muscle     normal    bundles                          0-0   0-0     0-0      0-6         5-25   0-0    0-3
colon-mucosa      colon       epithelium normal    crypts                           0-0   0-1     0-0      10-32       14-34  15-40  0-0
colon-stroma      colon       stroma     none      collagen                         0-0   0-0     0-3      3-35        75-98  0-4    0-4
colon-carcinoma   colon       epithelium malignant irregular-glands|cribriform|solid 1-3  0-3     0-28     2-28        12-38  0-22   0-0
node-lymphoid     lymph-node  lymphoid   normal    sheets|follicles                 0-0   0-1     0-0      75-98       0-12   0-0    0-6
node-sinus        lymph-node  lymphoid   benign    sinuses                          0-0   0-0     0-0      45-75       8-28   0-0    0-10
node-fat          lymph-node  adipose    normal    adipocytes                       0-0   0-0     0-0      8-32        2-14   0-0    60-88
node-capsule      lymph-node  stroma     normal    collagen                         0-0   0-0     0-0      12-42       48-80  0-0    0-8
node-metastasis   lymph-node  epithelium malignant nests|solid|irregular-glands|cords 1-3 0-3     0-26     8-42        10-36  0-12   0-5
breast-lobule     breast      epithelium normal    lobules|ducts                    0-0   0-0     0-0      0-12        40-74  0-3    0-28
breast-fat        breast      adipose    normal    adipocytes                       0-0   0-0     0-2      0-4         5-28   0-0    70-94
breast-adenoma    breast      epithelium benign    slit-ducts                       0-0   0-1     0-0      0-8         58-84  0-5    0-6
breast-adenosis   breast      epithelium benign    adenosis                         0-0   0-1     0-0      0-14        28-54  0-0    0-8
breast-hyperplasia breast     epithelium benign    hyperplastic-ducts|cysts         0-0   0-1     0-0      0-14        38-66  0-10   0-14
breast-dcis       breast      epithelium in-situ   filled-ducts|comedo|cribriform-ducts 1-3 0-3   0-32     2-26        34-60  0-4    0-10
breast-ductal     breast      epithelium malignant nests|irregular-glands|cords|solid 1-3 0-3     0-26     3-38        24-60  0-4    0-12
breast-lobular    breast      epithelium malignant single-cells                     1-2   0-1     0-3      2-18        52-80  0-3    0-14
breast-mucinous   breast      epithelium malignant mucinous-nests                   1-2   0-1     0-4      0-8         6-22   50-80  0-4
skin-normal       skin        epithelium normal    squamous                         0-0   0-0     0-0      2-16        34-60  0-0    0-0
skin-dermatitis   skin        epithelium benign    squamous                         0-0   0-1     0-4      40-68       26-48  0-0    0-0
skin-squamous     skin        epithelium malignant keratin-nests                    1-3   0-3     0-18     5-38        20-50  0-0    0-0
skin-melanoma     skin        epithelium malignant nests                            2-3   1-3     0-18     5-42        10-34  0-0    0-0
lung-alveoli      lung        epithelium normal    alveoli                          0-0   0-0     0-0      2-14        8-22   0-4    0-0
lung-granuloma    lung        lymphoid   benign    granuloma                        0-0   0-0     20-46    40-64       10-26  0-0    0-0
lung-carcinoma    lung        epithelium malignant irregular-glands|solid           1-3   0-3     0-30     3-38        16-42  0-14   0-0
kidney-cortex     kidney      epithelium normal    tubules                          0-0   0-0     0-0      0-8         8-22   0-0    0-0
kidney-nephritis  kidney      epithelium benign    tubules                          0-0   0-0     0-6      40-64       16-34  0-0    0-0
kidney-carcinoma  kidney      epithelium malignant clear-nests                      1-3   0-2     0-18     0-12        6-20   0-0    0-4
brain-cortex      brain       neural     normal    neuropil                         0-0   0-0     0-0      0-2         0-2    0-0    0-0
brain-glioma      brain       neural     malignant neuropil                         2-3   0-3     0-42     0-10        0-4    0-0    0-0
thyroid-follicles thyroid     epithelium normal    colloid-follicles                0-0   0-0     0-0      0-8         8-22   0-0    0-2
thyroid-papillary thyroid     epithelium malignant irregular-glands                 1-2   0-1     0-3      2-22        12-32  0-0    0-0
prostate-benign   prostate    epithelium normal    ducts                            0-0   0-0     0-0      0-12        48-72  0-2    0-0
prostate-carcinoma prostate   epithelium malignant small-glands                     1-3   0-1     0-4      0-12        38-64  0-4    0-0
uterus-endometrium uterus     epithelium normal    tubular-glands                   0-0   1-2     0-0      4-22        40-64  0-2    0-0
uterus-leiomyoma  uterus      muscle     benign    bundles                          0-0   0-1     0-2      0-4         8-26   0-0    0-0
uterus-smear      uterus      smear      normal    smear-cells                      0-0   0-0     0-0      5-18        0-0    2-10   0-0
lung-smear        lung        smear      malignant smear-clusters                   2-3   0-2     2-16     4-14        0-0    0-8    0-0
soft-lipoma       soft-tissue adipose    benign    adipocytes                       0-0   0-0     0-0      0-3         3-14   0-0    86-97
soft-sarcoma      soft-tissue stroma     malignant fascicles                        1-3   0-3     0-28     0-8         62-90  0-5    0-6
bone-marrow       bone        bone       normal    trabeculae                       0-0   0-0     0-0      8-24        38-60  0-0    20-42
bone-osteosarcoma bone        bone       malignant trabeculae                       2-3   1-3     0-22     0-8         40-70  0-0    0-4
node-lymphoma     lymph-node  lymphoid   malignant sheets                           2-3   1-3     0-12     80-98       0-8    0-0    0-0
eye-retinoblastoma eye        neural     malignant rosettes                         3-3   1-3     5-38     0-5         0-6    0-0    0-0
mouth-mucosa      mouth       epithelium normal    squamous                         0-0   0-0     0-0      3-22        28-52  0-4    0-0
mouth-squamous    mouth       epithelium malignant keratin-nests                    1-3   0-3     0-20     6-42        22-50  0-0    0-0
"""

ORDINALS = ("nuclear_grade", "mitoses")
FRACTIONS = ("necrosis", "lymphocytes", "stroma", "mucin", "fat")
CATEGORIES = ("organ", "tissue", "behaviour", "architecture")
ATTRIBUTES = (*CATEGORIES, *ORDINALS, *FRACTIONS)

CATALOGUE = (
    pd.read_csv(io.StringIO(_CATALOGUE), sep=r"\s+")
    .rename(columns={"grade": "nuclear_grade"})
    .set_index("entity")
)

WORLDS = {
    "nct-crc": [name for name in CATALOGUE.index if name.startswith("colon-")],
    "pcam": [
        "node-lymphoid",
        "node-sinus",
        "node-fat",
        "node-capsule",
        "node-metastasis",
    ],
    "bach": [name for name in CATALOGUE.index if name.startswith("breast-")],
    "quilt-1m": [name for name in CATALOGUE.index if name != "colon-background"],
    "captions": list(CATALOGUE.index),
}
