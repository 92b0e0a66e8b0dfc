"""What the demo prints of what Prometheus answered."""

from __future__ import annotations

from exporter.demo.run import Demo
from exporter.table import table

WINDOW = "30s"


async def now(demo: Demo) -> str:
    """Who uses what now, who got how much of the last half minute, and that nothing is lost."""
    utilization = await demo.ask("amdgpu_utilization_ratio")
    vram = {labels["gpu_uuid"]: value for labels, value in await demo.ask("amdgpu_vram_used_bytes")}
    held = await demo.ask(_by_user("amdgpu_owner_seconds_total"))
    busy = {_user(labels): value for labels, value in await demo.ask(_by_user("amdgpu_owner_busy_seconds_total"))}
    observed = await demo.ask("sum(amdgpu_observed_seconds_total)")
    booked = await demo.ask("sum(amdgpu_owner_seconds_total) + sum(amdgpu_exporter_unbooked_seconds)")
    return "\n\n".join(
        (
            "Who uses what now: amdgpu_utilization_ratio, amdgpu_vram_used_bytes",
            table(
                ("NODE", "GPU", "OWNER", "TYPE", "", "UTILIZATION", "VRAM GiB"),
                [
                    (
                        labels["hostname"],
                        labels["gpu"],
                        labels.get("username", "–"),
                        labels.get("task_type", "–"),
                        labels["ownership"],
                        f"{value:11.0%}",
                        f"{vram[labels['gpu_uuid']] / 2**30:8.1f}",
                    )
                    for labels, value in sorted(utilization, key=lambda one: (one[0]["hostname"], int(one[0]["gpu"])))
                ],
            ),
            f"GPU-seconds of the last {WINDOW}: increase(amdgpu_owner_seconds_total[{WINDOW}])",
            table(
                ("USER", "TYPE", "HELD", "BUSY"),
                [
                    (*_user(labels), f"{value:6.1f}", f"{busy.get(_user(labels), 0.0):6.1f}")
                    for labels, value in sorted(held, key=lambda one: -one[1])
                ],
            ),
            f"Observed {observed[0][1]:.3f} GPU-seconds; owners and unbooked sum to {booked[0][1]:.3f}.",
        )
    )


def _by_user(metric: str) -> str:
    return f'sum by (username, task_type) (increase({metric}{{username!=""}}[{WINDOW}]))'


def _user(labels: dict[str, str]) -> tuple[str, str]:
    return labels.get("username", ""), labels.get("task_type", "")
