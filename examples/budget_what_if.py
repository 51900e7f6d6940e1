"""Budget what-if: what more memory would buy, before anything is run.

    python examples/budget_what_if.py INPUT 300MiB 600MiB 2GiB

No network is run and no frame is read; stages that were never measured on this machine are guessed.
"""

import sys

import faceloom

MIB = 1 << 20


def main(inputs: str, *budgets: str) -> None:
    """Prints the plan of each budget, and the smallest budget that would do."""
    forecast = faceloom.plan(inputs, mask=["unet", "extended"], what_if=budgets)
    print(f"{forecast.frames} frames" + (f"; guessed: {', '.join(forecast.guessed)}" if forecast.guessed else ""))
    for budget, found in zip(budgets, forecast.plans, strict=True):
        if isinstance(found, faceloom.BudgetError):  # a budget that is too small is part of the answer
            print(f"{budget}: {found.stage} needs {found.needed_bytes / MIB:.0f} MiB")
            continue
        plan = found.plan
        passes = [" + ".join(placed.stage for placed in phase.placements) for phase in plan.phases]
        print(f"{budget}: {plan.seconds:.1f} s, {plan.workers} workers, {plan.peak_bytes / MIB:.0f} MiB at most")
        print(*(f"    pass {number}: {stages}" for number, stages in enumerate(passes, start=1)), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
