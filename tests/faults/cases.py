"""The table of faults: what is done, how often, to which composition of processes, under which calls."""

from load import CREATE, PDF, TEMPLATES, UPDATE

from tests.faults.injections import (
    ADMIT,
    COMMIT,
    TRIM,
    cut,
    empty_node,
    end_period,
    flush,
    freeze_for,
    kill,
    kill_any,
    kill_at,
    kill_transaction,
    ledger,
    lose_replies,
    meter,
    nothing,
    older_data,
    slow,
    stop_for,
    use_up,
)
from tests.faults.rounds import Case
from tests.faults.world import Setup

GATEWAYS = ("gateway-1", "gateway-2")
ALL = (*GATEWAYS, "metering", "valkey", "postgres")
ONE_GATEWAY = Setup(gateways=1, proxied_gateways=True)
GATEWAYS_PROXIED = Setup(proxied_gateways=True)
METERING_PROXIED = Setup(proxied_metering=True)
FAIL_OPEN = Setup(environment=(("METER_DOWN", "fail_open"),))
CLUSTER = Setup(cluster=True)
NODES = ("node-1", "node-2", "node-3")
RENDERING = Setup(renderer=True, environment=(("PDF_WAIT_S", "5"),))

CASES = (
    Case(name="gateway killed", rounds=40, short=1, fault=kill(*GATEWAYS)),
    Case(name="metering killed", rounds=40, short=1, fault=kill("metering")),
    Case(name="Redis killed", rounds=50, short=2, fault=kill("valkey")),
    Case(name="PostgreSQL killed", rounds=15, short=1, fault=kill("postgres")),
    Case(name="PostgreSQL's process killed within the hand-over", rounds=10, fault=kill_transaction),
    Case(name="any one or two of them killed", rounds=40, short=1, fault=kill_any(*ALL)),
    Case(
        name="any killed while documents are created",
        rounds=20,
        fault=kill_any(*ALL),
        kinds=(CREATE, CREATE, TEMPLATES),
    ),
    Case(
        name="any killed near the quota",
        rounds=8,
        fault=kill_any(*ALL),
        kinds=(TEMPLATES,),
        limit=(100, 400),
        fresh=True,
    ),
    Case(
        name="renderer killed",
        rounds=6,
        fault=kill("renderer"),
        setup=RENDERING,
        kinds=(UPDATE, PDF, TEMPLATES),
        accounts=4,
        lines=4,
    ),
    Case(
        name="gateway killed before the admission call",
        rounds=6,
        fault=kill_at("gateway-1", meter, ADMIT, after=False),
        setup=ONE_GATEWAY,
    ),
    Case(
        name="gateway killed before the admission's reply",
        rounds=6,
        short=1,
        fault=kill_at("gateway-1", meter, ADMIT, after=True),
        setup=ONE_GATEWAY,
    ),
    Case(
        name="metering killed before the commit",
        rounds=8,
        fault=kill_at("metering", ledger, COMMIT, after=False),
        setup=METERING_PROXIED,
    ),
    Case(
        name="metering killed after the commit",
        rounds=8,
        short=1,
        fault=kill_at("metering", ledger, COMMIT, after=True),
        setup=METERING_PROXIED,
    ),
    Case(
        name="metering killed before the trim",
        rounds=8,
        fault=kill_at("metering", meter, TRIM, after=False),
        setup=METERING_PROXIED,
    ),
    Case(
        name="metering killed after the trim",
        rounds=8,
        fault=kill_at("metering", meter, TRIM, after=True),
        setup=METERING_PROXIED,
    ),
    Case(name="metering stopped for 10 s", rounds=1, fault=stop_for("metering", 10)),
    Case(name="PostgreSQL stopped for 30 s", rounds=1, fault=stop_for("postgres", 30)),
    Case(name="Redis paused for 5 s", rounds=2, fault=freeze_for("valkey", 5)),
    Case(name="Redis stopped for 5 s, fail_open", rounds=2, fault=stop_for("valkey", 5), setup=FAIL_OPEN),
    Case(name="Redis cut off from the gateways", rounds=10, fault=cut(meter), setup=GATEWAYS_PROXIED),
    Case(name="Redis slow by 100 ms", rounds=2, fault=slow(meter, 0.1, 5), setup=GATEWAYS_PROXIED),
    Case(
        name="reply lost after the admission",
        rounds=15,
        short=1,
        fault=lose_replies(meter, hangs=False),
        setup=GATEWAYS_PROXIED,
    ),
    Case(
        name="reply to the admission never comes",
        rounds=8,
        fault=lose_replies(meter, hangs=True),
        setup=GATEWAYS_PROXIED,
    ),
    Case(name="Redis cut off from metering", rounds=8, fault=cut(meter), setup=METERING_PROXIED),
    Case(name="PostgreSQL cut off from metering", rounds=8, fault=cut(ledger), setup=METERING_PROXIED),
    Case(
        name="reply lost within the hand-over",
        rounds=15,
        fault=lose_replies(ledger, hangs=False),
        setup=METERING_PROXIED,
    ),
    Case(name="FLUSHALL", rounds=10, short=1, fault=flush),
    Case(name="Redis replaced by an empty one", rounds=6, fault=empty_node),
    Case(name="an older append-only file put back", rounds=6, fault=older_data),
    Case(name="the period's end", rounds=5, short=1, fault=end_period),
    Case(name="a gateway's clock one hour ahead", rounds=1, fault=nothing, setup=Setup(clock_s=3600)),
    Case(name="a gateway's clock one hour behind", rounds=1, fault=nothing, setup=Setup(clock_s=-3600)),
    Case(
        name="three gateways on one account at its limit",
        rounds=6,
        fault=use_up,
        setup=Setup(gateways=3),
        kinds=(TEMPLATES,),
        accounts=1,
        lines=24,
        think_s=0.0,
        limit=(300, 1_500),
        fresh=True,
    ),
    Case(name="a node of the cluster killed", rounds=10, fault=kill(*NODES), setup=CLUSTER),
    Case(
        name="any one or two killed, on the cluster",
        rounds=10,
        fault=kill_any(*NODES, *GATEWAYS, "metering"),
        setup=CLUSTER,
    ),
)
