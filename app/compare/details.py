"""What stands behind a measurement beside peers: how it is read, every setting as a table, and what its figures depend on."""

from __future__ import annotations

import streamlit as st

from app.compare.points import csv_of, points_table
from app.components.provenance import data_line
from app.measured.rivals import rivals, suffices
from app.measured.serving import ServingResult
from app.measured.verdict import Verdict, listed
from app.studio import Studio

SMALL_CATALOGUE = 10_000


def details(result: ServingResult, read: Verdict, studio: Studio) -> None:
    """The verdict on every peer, the table of all points with its download, and the provenance."""
    st.subheader(read.headline, anchor=False)
    if read.at_most:
        st.markdown(f"**{read.at_most}**")
    st.markdown("\n".join(f"- {sentence}" for sentence in read.sentences))
    if result.left_out or read.missing:
        st.markdown("\n".join(f"- {reason}" for reason in result.left_out) or f"Not measured: {', '.join(read.missing)}.")
    st.caption(
        "How it is read: a peer stands at its least effort within 1% of the exact two-tower recall, SparCode at the fewest scores that "
        "find as much as that; where no setting does, at the least effort within 1% of its own best. Recall differs if the mean "
        "difference, user by user, is more than two standard errors; times (median, and in brackets its quartiles between rounds) "
        "differ if the brackets do not overlap."
    )
    st.subheader("All points: the data of both charts", anchor=False)
    points_table(result.points)
    _labels(result, studio)


def _labels(result: ServingResult, studio: Studio) -> None:
    quantizer, timed = result.config.quantizer, max(point.n_timed for point in result.points)
    slow = min(point.n_timed for point in result.points)
    slow_ones = listed(list(dict.fromkeys(point.name for point in result.points if point.n_timed < timed)))
    fewer = f" ({slow_ones} {slow})" if slow_ones else ""
    # General knowledge of approximate indexes, so that results on a small catalogue are not taken for those on a large one.
    is_small = result.n_items < SMALL_CATALOGUE and bool(suffices(rivals(result.points)))
    small = "The catalogue is small, where an approximate index gains little over exact search. " if is_small else ""
    name = f"compare-m{quantizer.n_codebooks}-k{quantizer.codebook_size}.csv"
    where = "Measured on this machine" if result.recording is None else "Recorded"
    st.download_button("Download as CSV", csv_of(result), file_name=name, mime="text/csv", on_click="ignore")
    st.caption(
        f"SparCode: **{result.kind}**, {result.n_epochs} epochs, M = {quantizer.n_codebooks}, K = {quantizer.codebook_size}"
        f"{', its training cut short by the clock' if result.cut_short else ''}; two-tower and all-to-all trained to the end. "
        f"{data_line(studio)}; recall over {result.n_queries:,} test users the models never trained on, times over {timed} of them{fewer}, "
        f"{result.points[0].n_rounds} rounds. {small}Seed "
        f"{result.config.training.seed}. {where} at {result.measured_at.replace('T', ' ')} in {result.seconds:.0f} s: "
        f"{result.machine}."
    )
