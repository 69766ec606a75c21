"""Make the presets by which wandb draws our charts, once an account."""

from typing import Any

from resjax.errors import InputError

SECONDS = 30  # that wandb may take for an answer


def register(entity: str) -> dict[str, str]:
    """Make the presets of the charts for an entity (a user's or a team's name): by preset "made", or why not.

    One that is there already is refused by wandb, and is the same: a preset's name ends in a digest of its chart.
    InputError where wandb does not let us in.
    """
    import wandb

    from resjax.report import presets

    try:
        api = wandb.Api(timeout=SECONDS)
    except Exception as error:  # no key, a wrong one, no network
        raise InputError(
            f"wandb does not let us in, no preset is made for {entity}: {error}\n"
            "Expected the key of an account that may write there.\nType: wandb login"
        ) from error
    return {f"{entity}/{presets.preset(name)}": made(api, entity, name) for name in presets.TITLES}


def made(api: Any, entity: str, name: str) -> str:
    """ "made", or what wandb says against it."""
    from resjax.report import presets

    words = {"name": presets.preset(name), "display_name": f"resjax: {presets.TITLES[name]}"}
    try:
        api.create_custom_chart(entity=entity, **words, spec_type="vega2", access="private", spec=presets.chart(name))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "made"
