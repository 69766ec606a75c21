"""A wandb workspace for a sweep: built and checked offline, and sent where wandb has a key.

It shows what runs have mirrored, and computes nothing: whoever calls brings the verdicts.
"""

import unicodedata
import warnings
from dataclasses import dataclass, replace
from typing import Any

from resjax.errors import InputError, ToldError
from resjax.redaction import redacted, secret_in
from resjax.tracking.mirror import CONNECT_SECONDS, depth_tag, norm_tag
from resjax.tracking.presets import register

MOST_RUNS = 50  # lines in a panel; wandb shows ten unless it is told
NO_NAME = '/\\#?%:"'  # what wandb takes in no project's name, and what would end a quoted word
MOST_LETTERS = 128
EXTRA = "pip install 'resjax[dashboard]'"
SYMBOLS = ("So", "Sk", "Sm", "Sc", "Cs")  # of Unicode, which wandb takes in no workspace's name


@dataclass(frozen=True)
class Dashboard:
    """What is asked for. verdicts: Markdown; tags: of the sweeps; arms, norms, depths: only these, all where empty."""

    project: str
    name: str
    verdicts: str
    entity: str | None = None
    tags: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    norms: tuple[str, ...] = ()
    depths: tuple[int, ...] = ()


def library() -> Any:
    """wandb_workspaces.workspaces, which takes a second and warns of itself; InputError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import wandb_workspaces.workspaces as ws
    except ImportError as error:
        raise InputError(
            f"the dashboard needs wandb-workspaces, which is not installed ({error}).\n"
            f"Expected the extra `dashboard`.\nType: {EXTRA}"
        ) from error
    return ws


def build(asked: Dashboard) -> Any:
    """The workspace, whose document is what wandb's own program makes of it when it reads it back."""
    ws = library()
    from resjax.tracking.panels import COLUMNS, sections

    check(asked)
    workspace = ws.Workspace(
        entity=asked.entity or "",
        project=asked.project,
        name=asked.name,
        sections=sections(asked.entity, asked.verdicts),
        settings=ws.WorkspaceSettings(max_runs=MOST_RUNS),
        runset_settings=ws.RunsetSettings(
            filters=filters(asked),
            groupby=[ws.Metric("Group")],
            order=[ws.Ordering(ws.Metric("JobType")), ws.Ordering(ws.Summary("depth"))],
            pinned_columns=list(COLUMNS),
        ),
    )
    validate(workspace)
    return workspace


def filters(asked: Dashboard) -> Any:
    """Which runs: by their tags, which they have from their start, and by their arm, which is their job type."""
    ws = library()
    tags = [asked.tags, [norm_tag(norm) for norm in asked.norms], [depth_tag(depth) for depth in asked.depths]]
    found = [ws.Tags().isin(list(each)) for each in tags if each]
    found += [ws.Metric("JobType").isin(list(asked.arms))] if asked.arms else []
    return ws.And(*found) if found else ""


def validate(workspace: Any) -> None:
    """Read the document by the package's own models and write it again; ToldError where it is another then."""
    library()
    from wandb_workspaces.workspaces import internal

    written = spelled(workspace._to_model())
    read = internal.View.model_validate_json(written)
    if not spelled(read) == written == spelled(type(workspace)._from_model(read)._to_model()):
        raise ToldError("wandb-workspaces reads back another workspace.\nType: pip install --upgrade wandb-workspaces")
    if what := secret_in(written):
        raise InputError(
            f"the dashboard holds {what}, which would be sent.\nExpected names that everybody may read.\n"
            "Type: --name 'depth sweep'"
        )


def document(workspace: Any) -> str:
    """The whole workspace as one JSON document, as it is sent."""
    return str(workspace._to_model().model_dump_json(by_alias=True, exclude_none=True, indent=1))


def spelled(view: Any) -> str:
    """A view in a line."""
    return str(view.model_dump_json(by_alias=True, exclude_none=True))


def check(asked: Dashboard) -> None:
    """InputError where wandb would take no such project, entity or name."""
    for what, value in (("PROJECT", asked.project), ("--entity", asked.entity), ("--name", asked.name)):
        if value is None:
            continue
        bad = sorted({sign for sign in value if is_bad(sign, title=what == "--name")})
        if not value.strip() or len(value) > MOST_LETTERS or bad:
            raise InputError(
                f"{what} {value!r} is no name that wandb takes{', with ' + ' '.join(map(repr, bad)) if bad else ''}.\n"
                f"Expected 1 to {MOST_LETTERS} letters, digits, spaces, - _ and .\n"
                "Type for example: resjax dashboard resjax --entity my-team --name 'depth sweep'"
            )


def is_bad(sign: str, title: bool) -> bool:
    """Whether wandb takes it in no title of a workspace, or in no other name."""
    return not sign.isprintable() or (unicodedata.category(sign) in SYMBOLS if title else sign in NO_NAME)


def why_offline() -> str:
    """Why nothing can be sent from here, "" where it can be tried. It asks for the key and does not tell it."""
    import wandb

    settings = wandb.setup(wandb.Settings(silent=True)).settings
    if settings.mode in ("offline", "dryrun", "disabled"):
        return f"WANDB_MODE={settings.mode}"
    return "" if wandb.api.api_key else "wandb has no key here"


def push(asked: Dashboard) -> tuple[Any, dict[str, str], str]:
    """Send the workspace as a new view: the workspace, what became of each preset, its address.

    Without an entity it goes to the account's own. ToldError where wandb is not reached within seconds, or refuses.
    """
    import wandb

    try:
        api = wandb.Api(timeout=CONNECT_SECONDS)
        whole = replace(asked, entity=asked.entity or api.default_entity or "")
        workspace = build(whole)
        made = register(str(whole.entity))
        workspace.save()
        return workspace, made, str(workspace.url)
    except (InputError, ToldError):
        raise
    except Exception as error:  # a wrong key, no network, a server that does not answer
        raise not_pushed(error) from error


def not_pushed(error: Exception) -> ToldError:
    """What happened, without secrets, and what to type."""
    return ToldError(
        f"wandb's server is not reached within {CONNECT_SECONDS} s, or does not let us in; the dashboard was built and "
        f"not pushed.\n{redacted(f'{type(error).__name__}: {error}')}\n"
        "Expected a server that answers and a key that it knows. Type: wandb login --verify\nand then the command again"
    )
