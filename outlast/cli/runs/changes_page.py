"""What a run's tools changed, and what became of each change: shown after every result, and of a failed run as well."""

from rich.text import Text
from temporalio.exceptions import ApplicationError

from outlast.cli.rendering import safe
from outlast.contracts import Change, Changes, ChangeState

STYLES = {
    ChangeState.UNDONE: "green",
    ChangeState.UNDO_FAILED: "red",
    ChangeState.NOT_UNDOABLE: "red",
    ChangeState.REGISTERED: "yellow",
}


def change_lines(changes: Changes) -> list[Text]:
    """List every change with what became of it; nothing where nothing was changed."""
    if not changes.changes and not changes.forgotten:
        return []
    why = f" · rolled back: {changes.reason}" if changes.reason else ""
    return [Text(safe(f"changes: {changes.summary}{why}"), style="bold"), *map(_line, changes.changes)]


def changes_of(result: object, page: object = None) -> Changes:
    """Return the changes that a result lists: its own, those of a session's progress, or those of a plan's report."""
    progress, report = getattr(result, "progress", None), getattr(page, "report", None)
    found = [getattr(result, "changes", None), getattr(progress, "changes", None), getattr(report, "rollback", None)]
    return next((changes for changes in found if isinstance(changes, Changes)), Changes())


def left_behind(error: BaseException | None) -> Changes:
    """Return the changes that a failed run left in its failure; empty where it left none."""
    details = error.details if isinstance(error, ApplicationError) else ()
    try:
        return Changes.model_validate(details[0])
    except (ValueError, IndexError):
        return Changes()


def _line(change: Change) -> Text:
    words = str(change.state).replace("_", " ")
    note = f" · {change.note}" if change.note else ""
    called = f"{change.step} · {change.tool}({change.arguments})"
    return Text.assemble((f"  {words:15}", STYLES.get(change.state, "")), safe(f"{called}{note}"))
