from __future__ import annotations

import streamlit as st

FLOW = """
flowchart LR
    history[User history] --> tokens[T tokens]
    tokens --> codes[Composite codes<br/>product quantization]
    codes --> network[Network E<br/>scores code and item]
    network --> cut[Minus threshold, ReLU]
    cut --> index[(Sparse inverted index)]
    index --> top[Add T posting lists<br/>top-k items]
"""

st.title("SparCode Studio")
st.markdown(
    """
A recommender has to pick a few hundred candidates for a user out of a huge catalogue. Two-tower models do that with one vector per
user, one per item and a dot product: fast, but user and item never meet before the last step.

**SparCode** ([Su et al., SIGIR 2023](https://arxiv.org/abs/2311.18213)) lets them meet and stays fast. A user becomes a few tokens,
and product quantization turns each token into one of finitely many **codes**. A network of any kind scores every pair of code and
item ahead of time; scores below a **threshold** are dropped, the rest is kept in a **sparse inverted index**. Serving a user means
adding up a few posting lists.
"""
)
st.mermaid_chart(FLOW, alt="From a user's history to tokens, codes, scores, the sparse index and the top items")
st.markdown(
    """
| You choose | It decides |
|---|---|
| number of codebooks and codewords | how many codes there are, and how finely users are told apart |
| threshold | how many scores the index keeps: recall against index size and latency |
| network | what user and item can say to each other before the score |
"""
)
