"""Where norm and activation stand in a unit: the orders of He et al. 2016 (arXiv:1603.05027, table 2), and one more.

Letters: n norm, a activation, b a bias. `pre` stands before each weight layer, `post` behind each but the last,
`last` behind the last, `after` behind the addition.
"""

from dataclasses import dataclass

from resjax.shortcuts import HE_2015, HE_2016


@dataclass(frozen=True)
class Order:
    """A row of the table."""

    pre: str
    post: str
    last: str
    after: str
    equation: str
    paper: str


ORDERS = {
    "original": Order("", "na", "n", "a", "h = relu(x + norm(conv(relu(norm(conv(x))))))", HE_2015),
    "norm_after_addition": Order("", "na", "", "na", "h = relu(norm(x + conv(relu(norm(conv(x))))))", HE_2016),
    "relu_before_addition": Order("", "na", "na", "", "h = x + relu(norm(conv(relu(norm(conv(x))))))", HE_2016),
    "relu_only_preactivation": Order("a", "n", "n", "", "h = x + norm(conv(relu(norm(conv(relu(x))))))", HE_2016),
    "full_preactivation": Order("na", "", "", "", "h = x + conv(relu(norm(conv(relu(norm(x))))))", HE_2016),
    "bare_addition": Order("", "na", "b", "", "h = x + conv(relu(norm(conv(x)))) + b", "the article"),
}
