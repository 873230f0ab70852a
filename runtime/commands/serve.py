"""`python -m runtime serve`: answers over HTTP what is in images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.arguments import NAMES, Json, Provider, Quiet
from runtime.command_line import split_words
from runtime.terminal import Screen

__all__ = ["serve"]

WORD_LISTS = {"--variant": NAMES}

_PACKAGES = ("starlette", "uvicorn", "prometheus_client", "python_multipart")


def serve(
    bundles: Annotated[
        list[str],
        typer.Argument(
            metavar="BUNDLE...",
            help="Folders that export made, or NAME=FOLDER.",
            show_default=False,
        ),
    ],
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any that is free.")] = 8000,
    variant: Annotated[
        str,
        typer.Option(
            metavar="NAME...",
            help="Variants and engines, each served as a version; the first is the default one.",
        ),
    ] = "fp32",
    batch: Annotated[int, typer.Option(help="Images the model is given at once, at most.")] = 8,
    queue: Annotated[
        int, typer.Option(help="Images that wait or run, at most; more are refused at once.")
    ] = 64,
    latency_budget_ms: Annotated[
        float,
        typer.Option(help="Hold a batch back to fill it, if it can be answered within this time."),
    ] = 0.0,
    max_body_mib: Annotated[int, typer.Option(help="Largest request.")] = 64,
    max_megapixels: Annotated[int, typer.Option(help="Largest image, or batch of tensors.")] = 50,
    time_limit_s: Annotated[
        float, typer.Option(help="How long a request may take to arrive.")
    ] = 30.0,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="Let in who sends what is in this file as bearer token.  [default: "
            "$RESNET_DEPLOY_TOKEN]",
            show_default=False,
        ),
    ] = None,
    provider: Provider = "cpu",
    allow_fallback: Annotated[
        bool, typer.Option("--allow-fallback", help="Accept a lesser provider, and say so.")
    ] = False,
    threads: Annotated[
        int, typer.Option(help="Of one batch on the processor; 0: as many as the provider likes.")
    ] = 0,
    ray: Annotated[
        bool, typer.Option("--ray", help="Serve on Ray: many processes, here or on a cluster.")
    ] = False,
    replicas: Annotated[
        str, typer.Option(metavar="LEAST:MOST", help="Processes Ray may start, by load.")
    ] = "1:1",
    replica_cores: Annotated[float, typer.Option(help="Of each of them.")] = 1.0,
    address: Annotated[
        str, typer.Option(help="Of a running Ray cluster, instead of one of its own.")
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Serve bundles over HTTP.

    It takes the Open Inference Protocol and image files, and shows a page to drop an image on.
    SIGTERM stops it when all that was accepted is answered; SIGHUP loads changed bundles.
    """
    from runtime.errors import OptionError
    from runtime.require_packages import require_packages

    if not ray and (replicas, replica_cores, address) != ("1:1", 1.0, ""):
        raise OptionError("--replicas, --replica-cores and --address are of Ray; add --ray")
    require_packages("serve", _PACKAGES, "serve")
    from runtime.serving.models import Order, parse_sources
    from runtime.serving.open_model import Backend
    from runtime.serving.options import BatchOptions, Limits
    from runtime.serving.place import Place
    from runtime.serving.read_token import read_token
    from runtime.serving.serve import serve

    order = Order(
        versions=split_words(variant),
        backend=Backend(provider=provider, allow_fallback=allow_fallback, threads=threads),
        batch=BatchOptions(largest=batch, queue=queue, latency_budget_ms=latency_budget_ms),
        limits=Limits(body_mib=max_body_mib, megapixels=max_megapixels, seconds=time_limit_s),
    )
    place = Place(host=host, port=port, token=read_token(token_file))
    sources = parse_sources(bundles)
    screen = Screen(json=json, quiet=quiet)
    if not ray:
        serve(sources, order, place, screen)
        return
    from runtime.serving.serve_on_ray import parse_replicas, serve_on_ray

    serve_on_ray(sources, order, place, parse_replicas(replicas, replica_cores, address), screen)
