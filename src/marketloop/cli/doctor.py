"""``marketloop doctor``: the installation and the project examined, each finding with its remedy."""

from __future__ import annotations

from marketloop.cli.call import Answer, Call
from marketloop.cli.examinations import Finding, examine
from marketloop.cli.render import Screen

__all__ = ["command"]

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def command(call: Call) -> Answer:
    """Examine the installation and the project, and name the remedy for whatever is wrong.

    Nothing is changed. The exit code is 1 when something failed; warnings leave it at 0.
    """
    findings: list[Finding] = []
    with call.progress("examining") as update:
        for finding in examine(call.named):
            findings.append(finding)
            update(len(findings), None, finding.name)
    failed = sum(finding.status == "failed" for finding in findings)
    warned = sum(finding.status == "warning" for finding in findings)

    def show(screen: Screen) -> None:
        for finding in findings:
            screen.line(f"{finding.status:8} {finding.name}: {finding.detail}", style=_STYLES[finding.status])
            if finding.remedy:
                screen.line(f"         {'remedy' if finding.status != 'ok' else 'to change it'}: {finding.remedy}")
        screen.line(f"{len(findings)} examined: {failed} failed, {warned} to be looked at")

    document = {
        "healthy": failed == 0,
        "checks": [
            {
                "name": f.name,
                "status": f.status,
                "detail": f.detail,
                "value": f.value,
                "expected": f.expected or None,
                "remedy": f.remedy or None,
            }
            for f in findings
        ],
    }
    return Answer(document, show, exit_code=1 if failed else 0)
