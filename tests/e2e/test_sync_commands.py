"""What a person asks of sync: what there was, and to have it back."""

from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.folder import Folder, Tree
from tests.cluster.node import Node
from tests.cluster.wait import until
from tests.e2e import sites

OWN: Final = "conf.d/told.conf"


@pytest.fixture
def edited(synced: Cluster) -> tuple[Cluster, str, str]:
    """A pair and two of its snapshots: the site said `one`, then it said `two`."""
    two, one = history(synced.a)[:2]
    if not all(line.endswith(f"edited {OWN}") for line in (two, one)):  # else it is there still
        accept(synced, "none")
        accept(synced, "one")
        accept(synced, "two")
        two, one = history(synced.a)[:2]
    return synced, one.split()[0], two.split()[0]


def accept(cluster: Cluster, answer: str) -> None:
    """Let the site say something, everywhere."""
    cluster.a.folder.write(OWN, sites.site("told.test", answer))
    cluster.a.ha("sync")  # one file is written so often here that its loads would be spaced out
    sites.wait_served("told.test", answer, *cluster.nodes)
    cluster.wait_in_sync()


def history(node: Node) -> list[str]:
    """Return the lines of `ha history`, newest first."""
    return node.ha("history").stdout.splitlines()[1:]


def head(node: Node) -> str:
    """Return the first digits of the head."""
    return str(node.sync()["head"])[:12]


def exported(node: Node, snapshot: str) -> Tree:
    """Return the tree that `ha export` writes."""
    directory = f"/tmp/export-{snapshot}"
    node.ha("export", snapshot, directory)
    folder = Folder(container=node.name, path=directory, user="0:0")
    try:
        return folder.tree()
    finally:
        node.inside.remove(directory)


def test_history_shows_who_changed_what_and_where_each_node_is(
    edited: tuple[Cluster, str, str],
) -> None:
    pair, one, two = edited
    for node, peer in ((pair.a, pair.b), (pair.b, pair.a)):
        newest, older = history(node)[:2]
        assert newest.startswith(two)
        assert older.startswith(one)
        assert all(word in newest for word in (pair.a.address, "edited", OWN, "head"))
        until(
            "the peer has told of its head",
            lambda: history(node)[0],  # noqa: B023 # used at once
            lambda line: f"head of {peer.address}" in line,  # noqa: B023 # as above
        )


def test_diff_shows_the_lines_of_a_snapshot_and_of_what_is_not_accepted(
    edited: tuple[Cluster, str, str],
) -> None:
    pair, one, two = edited
    lines = {f"-{sites.site('told.test', 'one')}", f"+{sites.site('told.test', 'two')}"}
    for arguments in ((two,), (one, two)):
        shown = pair.b.ha("diff", *arguments).stdout.splitlines(keepends=True)
        assert lines <= set(shown)
    assert "nothing differs" in pair.a.ha("diff").stdout
    pair.a.folder.write(OWN, "server { brokn; }\n")
    sites.wait_reason(pair.a, "brokn")
    assert "+server { brokn; }" in pair.a.ha("diff").stdout
    pair.a.folder.write(OWN, sites.site("told.test", "two"))


SECRETS: Final = """
umask 077
mkdir -p acme/accounts/it
echo '{"kty": "EC", "d": "hunter2"}' >acme/jwk
echo '{"body": {"contact": ["hunter2"]}}' >acme/accounts/it/regr.json
openssl genpkey -algorithm ed25519 -outform DER -out acme/der
openssl genpkey -algorithm ed25519 | sed -e 1d -e '$d' >acme/base64
printf 'user:%s\\n' "$(openssl passwd -apr1 hunter2)" >acme/users
cat >conf.d/hidden.conf <<EOF
server {
    listen 80;
    server_name hidden.test;
    auth_basic_user_file acme/users;
    proxy_set_header Authorization "Basic dXNlcjpodW50ZXIyCg==";
    location / { proxy_pass http://127.0.0.1:1; } # as http://user:hunter2@127.0.0.1:1
}
EOF
"""


def test_diff_shows_nothing_secret(synced: Cluster) -> None:
    before = head(synced.a)
    try:
        synced.a.folder.sh(SECRETS)
        until("it is accepted", lambda: synced.a.folder.has("acme") and head(synced.a) != before)
        synced.wait_in_sync()
        shown = synced.b.ha("diff", before, "head").stdout
    finally:
        synced.a.folder.remove("acme", "conf.d/hidden.conf")
        synced.wait_in_sync()
    assert shown.count("not shown: secret") == 5
    assert "auth_basic_user_file acme/users;" in shown
    assert "Authorization (secret);" in shown
    assert not any(word in shown for word in ("hunter2", "dXNlcjpo", "$apr1$", "MC4CAQAw"))


def test_an_export_is_the_tree_that_was_served(edited: tuple[Cluster, str, str]) -> None:
    pair, one, _ = edited
    tree = pair.wait_in_sync()
    for node in pair.nodes:
        assert exported(node, "head") == tree
        assert exported(node, one) != tree
        refused = node.ha("export", one, "/etc/nginx/export", check=False)
        assert refused.returncode == 1
        assert "synced" in refused.stderr


def test_a_dry_run_tells_and_does_nothing(edited: tuple[Cluster, str, str]) -> None:
    pair, _, two = edited
    assert "nothing to do" in pair.a.ha("sync", "--dry-run").stdout
    pair.a.folder.write(OWN, "server { brokn; }\n")
    sites.wait_reason(pair.a, "brokn")
    said = pair.a.ha("sync", "--dry-run").stdout
    assert "would accept" in said
    assert OWN in said
    assert [head(node) for node in pair.nodes] == [two, two]
    pair.a.folder.write(OWN, sites.site("told.test", "two"))


def test_sync_now_says_how_each_node_stands(edited: tuple[Cluster, str, str]) -> None:
    pair, _, two = edited
    said = pair.a.ha("sync").stdout
    assert two in said
    assert f"{pair.b.address}: in sync" in said


def test_what_is_not_in_the_history_is_refused(synced: Cluster) -> None:
    before = synced.wait_in_sync()
    for arguments in (
        ("rollback", "0000"),
        ("rollback", "not-hex"),
        ("restore", "0000", OWN),
        ("restore", "head", "conf.d/never.conf"),
        ("export", "0000", "/tmp/export"),
        ("diff", "0000"),
    ):
        refused = synced.a.ha(*arguments, check=False)
        assert refused.returncode == 1, arguments
        assert "cannot" in refused.stderr, arguments
    assert synced.wait_in_sync() == before


def test_a_rollback_is_a_new_snapshot_on_every_node(edited: tuple[Cluster, str, str]) -> None:
    pair, one, two = edited
    said = pair.b.ha("rollback", one).stdout
    assert one in said
    sites.wait_served("told.test", "one", *pair.nodes)
    assert pair.wait_in_sync() == exported(pair.a, one)
    for node in pair.nodes:
        assert head(node) not in {one, two}
        newest = history(node)[0]
        assert newest.startswith(head(node))
        assert one in newest


def test_a_restore_brings_back_a_file_on_every_node(edited: tuple[Cluster, str, str]) -> None:
    pair, one, two = edited
    pair.b.folder.remove(OWN)
    pair.b.ha("sync")  # as in `accept`
    sites.wait_unknown("told.test", *pair.nodes)
    before = pair.wait_in_sync()
    pair.a.ha("restore", one, OWN)
    sites.wait_served("told.test", "one", *pair.nodes)
    after = pair.wait_in_sync()
    assert after == {**before, OWN: exported(pair.a, one)[OWN]}
    assert head(pair.a) not in {one, two}


def test_a_rollback_keeps_what_was_not_accepted(edited: tuple[Cluster, str, str]) -> None:
    pair, one, _ = edited
    pair.a.folder.write(OWN, "server { brokn; } # a whole day of work\n")
    sites.wait_reason(pair.a, "brokn")
    pair.a.ha("rollback", one)
    sites.wait_served("told.test", "one", *pair.nodes)
    pair.wait_in_sync()
    kept = [line.split()[0] for line in history(pair.a)[:2]]
    assert any("a whole day of work" in pair.a.ha("diff", name).stdout for name in kept)
