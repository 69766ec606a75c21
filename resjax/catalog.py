"""What there is to choose from, and the paper it is from: the rows of `resjax models`."""

HE_2015 = "He et al. 2015, arXiv:1512.03385"

CATALOG = (
    {"setting": "model", "name": "resnet", "what": "CIFAR nets, depth 6n+2, identity shortcuts", "paper": HE_2015},
    {"setting": "model", "name": "plain", "what": "the same nets without shortcuts", "paper": HE_2015},
    {
        "setting": "model",
        "name": "mlp",
        "what": "H(x) = F(x) + x, F(x) = g(W x + b), depth 3 or more",
        "paper": HE_2015,
    },
    {"setting": "model.shortcut", "name": "none", "what": "h = f", "paper": HE_2015},
    {
        "setting": "model.shortcut",
        "name": "identity",
        "what": "h = x + f; option A where shapes change",
        "paper": HE_2015,
    },
    {
        "setting": "model.shortcut",
        "name": "projection_b",
        "what": "h = norm(W x) + f where shapes change",
        "paper": HE_2015,
    },
    {"setting": "model.shortcut", "name": "projection_c", "what": "h = norm(W x) + f in every unit", "paper": HE_2015},
    {
        "setting": "model.norm",
        "name": "batch",
        "what": "batch norm; model.norm_scope: ghost, per_device, global",
        "paper": "Ioffe and Szegedy 2015, arXiv:1502.03167",
    },
    {"setting": "model.norm", "name": "none", "what": "a bias instead", "paper": ""},
)
