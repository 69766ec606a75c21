"""What there is to choose from, and the paper it is from: the rows of `resjax models`."""

from resjax.orders import ORDERS
from resjax.shortcuts import HE_2015, HE_2016, SHORTCUTS
from resjax.variants import FAMILIES

DELVING = "He et al. 2015, arXiv:1502.01852"
XIAO = "Xiao et al. 2018, arXiv:1806.05393"

# Name: what it is, and its paper.
NORMS = {
    "batch": ("over the examples of model.norm_scope", "Ioffe and Szegedy 2015, arXiv:1502.03167"),
    "group": ("over space and a group of channels of one example", "Wu and He 2018, arXiv:1803.08494"),
    "layer": ("over space and all channels of one example", "Ba et al. 2016, arXiv:1607.06450"),
    "none": ("a bias instead", ""),
}
ACTIVATIONS = {
    "relu": ("max(0, x)", "Nair and Hinton 2010"),
    "tanh": ("tanh x", ""),
    "gelu": ("x Phi(x), Phi the normal distribution", "Hendrycks and Gimpel 2016, arXiv:1606.08415"),
    "linear": ("x", "Saxe et al. 2014, arXiv:1312.6120"),
}
INITS = {
    "he": ("N(0, 2 / inputs)", DELVING),
    "lecun": ("N(0, 1 / inputs)", "LeCun et al. 1998, Efficient BackProp"),
    "glorot": ("N(0, 2 / (inputs + outputs))", "Glorot and Bengio 2010"),
    "orthogonal": ("a random orthogonal matrix, inputs by outputs", "Saxe et al. 2014, arXiv:1312.6120"),
    "delta_orthogonal": ("orthogonal at the kernel's centre, zero elsewhere", XIAO),
    "looks_linear": ("mirrored weights: the relu net is linear at step 0", "Balduzzi et al. 2017, arXiv:1702.08591"),
    "fixup": ("he, scaled by depth; the last of each branch zero; no norm", "Zhang et al. 2019, arXiv:1901.09321"),
}

# `model=NAME` for each file of conf/model: what it sets of the family, and its paper where that is another.
MODELS = {
    "resnet": ("depth 6n+2, identity shortcuts; units: model.branch=bottleneck, depth 9n+2", HE_2015),
    "plain": ("resnet without shortcuts, the same parameters", HE_2015),
    "resnet_imagenet": ("18 34 50 101 152; model.bottleneck=v1.5 moves the stride", HE_2015),
    "plain_imagenet": ("18 34, without shortcuts", HE_2015),
    "preact": ("resnet with norm and activation before the weights", HE_2016),
    "highway": ("one-layer units with a learned gate, no norm", SHORTCUTS["highway"].paper),
    "mlp": (FAMILIES["mlp"].what, FAMILIES["mlp"].paper),
    "vgg": (FAMILIES["vgg"].what, FAMILIES["vgg"].paper),
    "vgg_imagenet": ("with the 4096-4096 head, without norm", FAMILIES["vgg"].paper),
    "googlenet": (f"{FAMILIES['googlenet'].what}; stem for small images", FAMILIES["googlenet"].paper),
    "googlenet_imagenet": ("the 7x7 stem, without norm", FAMILIES["googlenet"].paper),
    "densenet": (FAMILIES["densenet"].what, FAMILIES["densenet"].paper),
    "densenet_bc": ("densenet with bottlenecks and compression 0.5, depth 6n+4", FAMILIES["densenet"].paper),
    "densenet_imagenet": ("121 169 201, and 161 with model.growth=48", FAMILIES["densenet"].paper),
    "article": (FAMILIES["article"].what, FAMILIES["article"].paper),
}

CATALOG = tuple(
    {"setting": setting, "name": name, "what": what, "paper": paper}
    for setting, table in (
        ("model", MODELS),
        ("model.shortcut", {name: (row.equation, row.paper) for name, row in SHORTCUTS.items()}),
        ("model.order", {name: (row.equation, row.paper) for name, row in ORDERS.items()}),
        ("model.norm", NORMS),
        ("model.activation", ACTIVATIONS),
        ("model.init", INITS),
    )
    for name, (what, paper) in table.items()
)
