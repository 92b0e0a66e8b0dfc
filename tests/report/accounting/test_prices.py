from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Amounts, Ownership
from exporter.report.accounting.budgets import Budget, budget_rows
from exporter.report.accounting.day_account import DayPart
from exporter.report.accounting.invoices import invoices
from exporter.report.accounting.prices import Holder, Prices, Rule

HOUR = 3600.0


def part(
    user: str = "itrd",
    hours: float = 10.0,
    *,
    idle: float = 0.0,
    task_type: str = "LAB",
    project: str = "p1",
    node: str = "gpu1",
    ownership: Ownership = Ownership.OWNED,
) -> DayPart:
    amounts = Amounts(observed_seconds=hours * HOUR, idle_seconds=idle * HOUR)
    return DayPart(user, task_type, project, node, ownership, 1, 1, True, hours * HOUR, *amounts, 0.0, 0.0)


def rule(price: str, *, idle: str | None = None, **globs: str) -> Rule:
    return Rule(Decimal(price), None if idle is None else Decimal(idle), **globs)


def test_the_first_rule_that_fits_says_the_price() -> None:
    prices = Prices([rule("3", user="itrd", task_type="TRAIN"), rule("2", node="gpu*"), rule("1")])

    assert prices.cost([part()]) == 20
    assert prices.cost([part(task_type="TRAIN")]) == 30
    assert prices.cost([part(node="other")]) == 10


def test_a_project_is_found_by_its_name_or_its_uuid() -> None:
    prices = Prices([rule("3", project="Vision *"), rule("2", project="p2")], {"p1": "Vision lab"})

    assert prices.cost([part(project="p1")]) == 30
    assert prices.cost([part(project="p2")]) == 20
    assert prices.cost([part(project="p3")]) is None


def test_idle_hours_have_their_own_price_only_where_a_rule_gives_one() -> None:
    parts = [part(hours=10, idle=4)]

    assert Prices([rule("2")]).cost(parts) == 20
    assert Prices([rule("2", idle="5")]).cost(parts) == 6 * 2 + 4 * 5
    assert Prices([rule("2")]).idle_cost(parts) == 8
    assert Prices([rule("2", idle="5")]).idle_cost(parts) == 20


def test_what_nobody_holds_costs_nothing_and_what_no_rule_fits_has_no_cost() -> None:
    prices = Prices([rule("2", user="itrd")])

    assert prices.cost([part("", ownership=Ownership.UNALLOCATED)]) == 0
    assert prices.cost([part("amy")]) is None
    assert prices.cost([part("amy"), part()]) == 20
    assert prices.unpriced_seconds([part("amy", 3), part()]) == 3 * HOUR
    assert Prices().cost([part()]) is None


def test_rules_that_price_nothing_are_named_by_their_place() -> None:
    assert Prices([rule("1", user="nobody"), rule("2"), rule("3")]).unused([part()]) == [1, 3]


def test_prices_are_taken_as_typed() -> None:
    assert Prices([rule("0.1")]).cost([part(hours=3)]) == Decimal("0.3")


parts = st.builds(
    part,
    st.sampled_from(["itrd", "amy", "陳怡君"]),
    st.floats(0, 1e6, allow_subnormal=False),
    task_type=st.sampled_from(["LAB", "TRAIN"]),
    project=st.sampled_from(["p1", "p2", "p3"]),
)
money = st.decimals(0, 1000, places=3)


@given(st.lists(parts, max_size=20), money, money)
def test_money_sums_exactly_however_it_is_grouped(some: list[DayPart], price: Decimal, other: Decimal) -> None:
    prices = Prices([Rule(price, user="itrd"), Rule(other)])
    whole = prices.cost(some)

    for key in ("username", "project_uuid", "task_type"):
        groups = {getattr(one, key) for one in some}
        costs = [prices.cost([one for one in some if getattr(one, key) == group]) for group in groups]
        assert sum((cost or Decimal() for cost in costs), Decimal()) == whole


@given(st.lists(parts, min_size=1, max_size=12), money, st.integers(0, 3))
def test_lines_and_rounding_make_up_an_invoice_that_is_its_projects_cost(
    some: list[DayPart], price: Decimal, digits: int
) -> None:
    prices = Prices([Rule(price, idle_per_gpu_hour=price / 3, user="amy"), Rule(price)])
    grain = Decimal(1).scaleb(-digits)
    for invoice in invoices(some, prices, {}, digits):
        lines = sum((Decimal(str(line.amount)) for line in invoice.lines), Decimal())
        cost = prices.cost([one for one in some if one.project_uuid == invoice.project_uuid])
        assert cost is not None
        assert lines + Decimal(str(invoice.rounding)) == Decimal(str(invoice.total)) == cost.quantize(grain)


def test_an_invoice_has_a_line_for_each_user_type_and_price() -> None:
    prices = Prices([rule("2", idle="5", user="itrd"), rule("1", task_type="LAB")], {"p1": "Vision"})
    some = [part(hours=10, idle=4), part("amy", 2), part("amy", 3), part("bob", 7, task_type="TRAIN")]
    (invoice,) = invoices(some, prices, {"p1": "Vision"}, 2)

    assert (invoice.project_name, invoice.total, invoice.rounding) == ("Vision", 37.0, 0.0)
    assert [
        (line.username, line.is_idle, line.gpu_hours, line.per_gpu_hour, line.amount) for line in invoice.lines
    ] == [
        ("amy", False, 5.0, 1.0, 5.0),
        ("bob", False, 7.0, None, None),
        ("itrd", False, 6.0, 2.0, 12.0),
        ("itrd", True, 4.0, 5.0, 20.0),
    ]


def test_without_prices_there_are_no_invoices() -> None:
    assert invoices([part()], Prices(), {}, 2) == []


def test_a_budget_is_a_projects_by_name_or_uuid_or_else_a_users() -> None:
    prices = Prices([rule("2")])
    some = [part(hours=10), part("amy", 5), part("amy", 7, project="p2")]
    budgets = {
        "Vision": Budget("gpu_hours", 20),
        "p2": Budget("cost", 10),
        "amy": Budget("gpu_hours", 12),
        "who": Budget("gpu_hours", 1),
    }
    rows, unknown = budget_rows(budgets, some, prices, {"p1": "Vision"})

    assert [(row.name, row.kind, row.used, row.left) for row in rows] == [
        ("Vision", "project", 15.0, 5.0),
        ("p2", "project", 14.0, -4.0),
        ("amy", "user", 12.0, 0.0),
    ]
    assert unknown == ["who"]


@given(st.permutations([part("amy", 1 / 3), part("amy", 1e-7), part("amy", 1e9), part("bob", 1e4 / 7)]))
def test_the_order_of_parts_is_nothing_to_money(some: list[DayPart]) -> None:
    prices = Prices([rule("0.37")])

    assert prices.cost(some) == prices.cost(sorted(some, key=lambda one: one.seconds))


def test_a_holder_is_charged_by_one_rule() -> None:
    prices = Prices([rule("0.37"), rule("1")])

    assert prices.rule(Holder("amy", "LAB", "p1", "gpu1")) is prices.rules[0]
