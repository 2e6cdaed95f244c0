"""Download of the current index for the command line."""

from __future__ import annotations

import streamlit as st

from app.measured.measured_index import MeasuredIndex
from app.measured.run_export import evaluate_command, run_of, run_zip
from app.session import loaders
from app.studio import Studio
from sparcode.metrics.evaluation import ExplorerPoint


def save_run(stage: MeasuredIndex, point: ExplorerPoint, studio: Studio) -> None:
    """A button that downloads the run of a complete index, and the command that prints its figures again."""
    backbone = studio.backbones.of(stage.config)
    run = run_of(stage, point, studio.interactions, studio.split, backbone.records if backbone else (), studio.machine)
    st.markdown(
        "Settings, weights, catalogue and index of the run above. Unpacked, it is a folder for the command line, which measures it anew at "
        "this or any other threshold:"
    )
    st.code(f"unzip {run.run_id}.zip\n{evaluate_command(run.run_id, point.tau, loaders.data_source())}", language="bash")
    # A callable, so that the run is packed on demand.
    st.download_button("Save run", lambda: run_zip(run), f"{run.run_id}.zip", "application/zip", on_click="ignore")
