"""The types of fixtures."""

from collections.abc import Callable

from tests.cluster.cluster import Cluster
from tests.cluster.node import Plan

Start = Callable[[Plan], Cluster]
"""Fixture `start`: a new cluster, told to start; removed after the test."""

Have = Callable[[Plan], Cluster]
"""Fixture `have`: a cluster that is well; kept for the next test that wants the same."""
