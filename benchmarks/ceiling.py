"""What the generator itself can do: against a peer that does next to nothing, with as many connections."""

from __future__ import annotations

from functools import partial

from benchmarks import servers
from benchmarks.load import request, run_load
from benchmarks.measuring import Plan, in_turn
from benchmarks.report import Part
from benchmarks.scene import ANY_AUTHORIZATION, NOTE

PEER = "bare peer"


def measure_ceiling(plan: Plan) -> Part:
    """No subject of another part can be seen to go faster than this."""
    port = servers.free_port()
    body = f'{{"outcome_id": "{"0" * 36}", "note": "{NOTE}"}}'.encode()
    template = request("POST", "/", headers=ANY_AUTHORIZATION, body=body)
    with servers.serving(
        "peer", ["-m", "benchmarks.peer", str(port)], port=port, cores=plan.places.server
    ) as peer:
        cases = {
            (f"{connections} connections", PEER): partial(
                run_load, plan.orders(peer, template, connections=connections)
            )
            for connections in plan.connections
        }
        windows = in_turn(plan, cases, title="the generator's ceiling")
    notes = [
        "The generator, or its peer, is what limits these; it is marked wherever it uses 90 % of its core.",
        f"Placed: {plan.places}.",
    ]
    if not plan.places.generator_has_its_own:
        notes.append("THE GENERATOR AND THE SERVER SHARE A CORE: no figure of this run means anything.")
    return Part("The generator's ceiling", "(with every part)", windows.rows(), (), notes)
