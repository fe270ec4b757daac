"""The chain of the audit: sealed in any order of commits, verified, and every kind of tampering found by its row."""

import json
import threading
import uuid
from importlib import import_module

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.apps import apps
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.access import audit_head, audit_seal
from cdp.access.audit import record_change
from cdp.access.audit_forget import forget_objects
from cdp.access.audit_head import head_path, read_head, write_head
from cdp.access.audit_seal import ChainCut, accept_restored, seal
from cdp.access.audit_verify import Verification, verify
from cdp.access.models import AuditEntry, AuditHead
from cdp.core.errors import Conflict, Invalid

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_dir")]


def add(count=1, *, ids=None, actor="user:1"):
    """Entries about the objects `o0`, `o1`, …; returns their numbers."""
    before = set(AuditEntry.objects.values_list("pk", flat=True))
    for n in range(count):
        about = ids or [f"o{n}"]
        record_change(actor, action="change", object_type="source", object_ids=about, fields=["name", "kind"])
    return sorted(set(AuditEntry.objects.values_list("pk", flat=True)) - before)


def rolled_back(count):
    """Entries in a transaction that fails."""
    mark = transaction.savepoint()
    add(count)
    transaction.savepoint_rollback(mark)


def sql(text, *params):
    with connection.cursor() as cursor:
        cursor.execute(text, params)


def good(rows, *, erased=0):
    return Verification(rows, erased, 0, None, "")


def test_rows_are_chained_in_the_order_of_their_numbers():
    rows = add(3)
    assert seal() == 3
    assert list(AuditEntry.objects.order_by("place").values_list("place", "pk")) == list(enumerate(rows, 1))
    assert verify() == good(3)
    head = AuditHead.objects.get()
    assert (head.place, head.problem, head.verified_rows) == (3, "", 3)


def test_the_head_on_disk_is_signed_and_anybody_can_check_it():
    add(2)
    seal()
    head = read_head()
    assert (head.place, head.chain) == (2, bytes(AuditEntry.objects.get(place=2).chain).hex())
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(head.public_key))
    public.verify(bytes.fromhex(head.signature), f"audit\n2\n{head.chain}\n{head.at}".encode())


def test_one_query_when_nothing_waits(django_assert_num_queries, monkeypatch):
    add(2)
    seal()
    asked = []
    real = audit_seal.Database._execute
    monkeypatch.setattr(audit_seal.Database, "_execute", lambda *a: asked.append(a[1]) or real(*a))
    with django_assert_num_queries(0):
        assert seal() == 0
    assert len(asked) == 1


@pytest.mark.parametrize("count", [1, 400])
def test_a_constant_number_of_queries_for_a_batch(count, monkeypatch):
    add(count)
    databases = []
    real = audit_seal.database
    monkeypatch.setattr(audit_seal, "database", lambda: databases.append(real()) or databases[-1])
    assert seal() == count
    assert sum(db.queries for db in databases) == 6  # state, lock, waiting, places, head, state


def test_several_batches(monkeypatch):
    monkeypatch.setattr(audit_seal, "BATCH", 3)
    add(7)
    assert seal() == 7
    assert verify() == good(7)


def test_what_was_committed_late_is_chained_when_it_is_there():
    """A row whose transaction ends after rows with higher numbers were sealed has a lower number and a later place."""
    early, late = add(2)
    sql("create table put_aside as select * from access_auditentry where id = %s", early)
    sql("delete from access_auditentry where id = %s", early)
    assert seal() == 1
    sql("insert into access_auditentry select * from put_aside")
    sql("drop table put_aside")
    last = add(1)
    assert seal() == 2
    assert list(AuditEntry.objects.order_by("place").values_list("pk", flat=True)) == [late, early, *last]
    assert verify() == good(3)


def test_numbers_of_a_rollback_are_missed_by_nobody():
    add(1)
    rolled_back(2)
    add(1)
    assert seal() == 2
    assert verify() == good(2)


def test_a_change_that_is_rolled_back_leaves_no_entry():
    rolled_back(1)
    assert AuditEntry.objects.count() == 0


def copied(row, **changed):
    """SQL that puts in a copy of a row with other values."""
    columns = [field.column for field in AuditEntry._meta.concrete_fields]
    values = {"id": "(select max(id) + 1 from access_auditentry)", **changed}
    picked = ", ".join(values.get(column, column) for column in columns)
    into = f"insert into access_auditentry ({', '.join(columns)})"
    return f"{into} select {picked} from access_auditentry where id = {row}"


OTHER_ID = f"'{uuid.uuid4().hex}'"


class Tampering:
    """Ways to tamper with five sealed rows; each gets their numbers and says which row must be named."""

    @staticmethod
    def changed_actor(rows):
        sql("update access_auditentry set actor = 'user:2' where id = %s", rows[2])
        return rows[2], "was changed"

    @staticmethod
    def changed_time(rows):
        sql("update access_auditentry set at = at + 1 where id = %s", rows[0])
        return rows[0], "was changed"

    @staticmethod
    def changed_reason(rows):
        sql("update access_auditentry set why = 'allowed' where id = %s", rows[4])
        return rows[4], "was changed"

    @staticmethod
    def changed_objects(rows):
        sql("update access_auditentry set object_ids = '[\"another\"]' where id = %s", rows[1])
        return rows[1], "was changed"

    @staticmethod
    def objects_no_list(rows):
        sql("update access_auditentry set object_ids = '{\"a\": 1}' where id = %s", rows[1])
        return rows[1], "was changed"

    @staticmethod
    def erased_by_hand(rows):
        """As an erasure looks, but without the key."""
        sql("update access_auditentry set object_ids = '[\"erased\"]', salt = digest where id = %s", rows[3])
        return rows[3], "was changed"

    @staticmethod
    def removed_first(rows):
        sql("delete from access_auditentry where id = %s", rows[0])
        return rows[1], "Place 1 is empty"

    @staticmethod
    def removed_middle(rows):
        sql("delete from access_auditentry where id in (%s, %s)", rows[1], rows[2])
        return rows[3], "Place 2 to 3 is empty"

    @staticmethod
    def removed_and_closed_up(rows):
        sql("delete from access_auditentry where id = %s", rows[1])
        for place, row in enumerate(rows[2:], 2):
            sql("update access_auditentry set place = %s where id = %s", place, row)
        return rows[2], "does not follow"

    @staticmethod
    def reordered(rows):
        for row, place in ((rows[1], 99), (rows[2], 2), (rows[1], 3)):
            sql("update access_auditentry set place = %s where id = %s", place, row)
        return rows[2], "does not follow"

    @staticmethod
    def reordered_with_values_kept(rows):
        """The chain values stay at their places, the rows change theirs."""
        keep = {row.pk: bytes(row.chain) for row in AuditEntry.objects.all()}
        for row, place in ((rows[1], 99), (rows[2], 2), (rows[1], 3)):
            sql("update access_auditentry set place = %s where id = %s", place, row)
        sql("update access_auditentry set chain = %s where id = %s", keep[rows[1]], rows[2])
        sql("update access_auditentry set chain = %s where id = %s", keep[rows[2]], rows[1])
        return rows[2], "does not follow"

    @staticmethod
    def put_in(rows):
        """A copy of a genuine row in the middle, the others moved on."""
        for place, row in reversed(list(enumerate(rows[2:], 4))):
            sql("update access_auditentry set place = %s where id = %s", place, row)
        sql(copied(rows[0], public_id=OTHER_ID, place="3"))
        sql("update access_audithead set place = 6")
        return rows[-1] + 1, "was changed, or was not written"

    @staticmethod
    def moved_on(rows):
        """A place is left free for a row to come."""
        sql("update access_auditentry set place = 6 where id = %s", rows[4])
        sql("update access_audithead set place = 6")
        return rows[4], "Place 5 is empty"

    @staticmethod
    def put_behind(rows):
        sql(copied(rows[0], public_id=OTHER_ID, place="6"))
        return rows[-1] + 1, "a place that the sealer never gave"

    @staticmethod
    def put_before(rows):
        sql(copied(rows[0], public_id=OTHER_ID, place="0"))
        return rows[-1] + 1, "a place that the sealer never gave"

    @staticmethod
    def put_in_unsealed(rows):
        """A row that the sealer would chain, made without the key."""
        sql(copied(rows[0], public_id=OTHER_ID, place="null", chain="null"))
        return rows[-1] + 1, "was not written by this installation"

    @staticmethod
    def end_removed(rows):
        sql("delete from access_auditentry where id = %s", rows[4])
        return None, "The chain ends at place 4, and went to 5"

    @staticmethod
    def end_removed_everywhere_in_the_database(rows):
        """Only the file knows."""
        sql("delete from access_auditentry where id in (%s, %s)", rows[3], rows[4])
        chain = bytes(AuditEntry.objects.get(pk=rows[2]).chain)
        sql("update access_audithead set place = 3, chain = %s", chain)
        return None, "The chain ends at place 3, and went to 5"

    @staticmethod
    def all_removed(rows):
        sql("delete from access_auditentry")
        sql("update access_audithead set place = 0, chain = %s", bytes(32))
        return None, "The chain ends at place 0, and went to 5"

    @staticmethod
    def head_row_removed(rows):
        sql("delete from access_audithead")
        return None, "where the chain ends is missing"

    @staticmethod
    def head_row_changed(rows):
        sql("update access_audithead set chain = %s", bytes(32))
        return None, "where the chain ends does not fit"

    @staticmethod
    def sealed_again(rows):
        """Chained anew after a row was taken away, by somebody who can run the sealer but kept the old head."""
        sql("delete from access_auditentry where id = %s", rows[1])
        sql("update access_auditentry set place = null, chain = null")
        sql("update access_audithead set place = 0, chain = %s", bytes(32))
        path = head_path()
        kept = path.read_bytes()
        path.unlink()
        add(1)
        seal()
        path.write_bytes(kept)
        return AuditEntry.objects.get(place=5).pk, "is not the one whose place was signed"

    @staticmethod
    def head_file_changed(rows):
        head = json.loads(head_path().read_text())
        head_path().write_text(json.dumps({**head, "place": 4}))
        return None, "is not a head that was signed here"


WAYS = [name for name in vars(Tampering) if not name.startswith("_")]


@pytest.mark.parametrize("way", WAYS)
def test_tampering_is_found_and_the_row_named(way):
    rows = add(5)
    seal()
    assert verify() == good(5)
    entry, problem = getattr(Tampering, way)(rows)
    found = verify()
    assert (found.entry, problem in found.problem) == (entry, True), found
    kept = list(AuditHead.objects.values_list("problem", flat=True))
    assert kept in ([found.problem], [])


@pytest.mark.parametrize("column", ["actor", "action", "object_type", "request_id", "address", "why"])
def test_every_column_is_under_seal_also_before_the_row_is_chained(column):
    [row] = add(1)
    sql(f"update access_auditentry set {column} = 'x' where id = %s", row)
    assert verify().entry == row
    seal()
    assert verify().entry == row


class TestTheSealerKeepsTheEvidence:
    def test_after_the_end_was_removed_it_seals_nothing(self):
        rows = add(5)
        seal()
        Tampering.end_removed_everywhere_in_the_database(rows)
        add(2)
        with pytest.raises(ChainCut, match="signed up to place 5"):
            seal()
        assert (AuditEntry.objects.filter(place=None).count(), read_head().place) == (2, 5)

    def test_another_row_at_the_signed_place_is_noticed(self):
        add(5)
        seal()
        sql("update access_auditentry set chain = %s where place = 5", bytes(32))
        sql("update access_audithead set place = 6")
        with pytest.raises(ChainCut):
            seal()

    def test_a_forged_head_is_noticed(self):
        Tampering.head_file_changed(add(1) and seal())
        with pytest.raises(Invalid, match="is not a head"):
            seal()

    def test_after_a_restore_somebody_says_so_and_it_goes_on(self):
        rows = add(5)
        seal()
        Tampering.end_removed_everywhere_in_the_database(rows)
        accept_restored("shell:ops", why="the disk died")
        assert seal() == 1
        assert verify() == good(4)
        entry = AuditEntry.objects.get(place=4)
        assert (entry.actor, entry.action, entry.why) == (
            "shell:ops", "restore", "the disk died (signed up to 5, restored to 3)",
        )  # fmt: skip
        assert [read_head(path).place for path in head_path().parent.glob("head-before-*.json")] == [5]
        with pytest.raises(Conflict, match="nothing to accept"):
            accept_restored("shell:ops", why="again")


class TestSealersTogether:
    def test_one_that_died_before_it_signed_is_made_good(self, monkeypatch):
        add(2)
        monkeypatch.setattr(audit_seal, "write_head", lambda _head: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            seal()
        monkeypatch.undo()
        assert (verify().problem, read_head()) == ("", None)
        assert (seal(), read_head().place, verify()) == (0, 2, good(2))

    def test_an_older_head_never_replaces_a_newer_one(self):
        add(1)
        seal()
        old = read_head()
        add(1)
        seal()
        write_head(old)
        assert read_head().place == 2

    def test_a_copy_kept_elsewhere_is_verified_against(self):
        add(1)
        seal()
        copy = read_head()
        add(1)
        seal()
        assert verify(head=copy) == good(2)
        other = audit_head.sign_head(1, bytes(32))
        assert verify(head=other).problem == (
            f"Entry {AuditEntry.objects.get(place=1).pk} (place 1) is not the one whose place was signed."
        )


@pytest.mark.django_db(transaction=True)
class TestOnConnectionsOfTheirOwn:
    @pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer at a time: nobody commits late")
    def test_a_transaction_that_ends_after_a_seal(self):
        """It took its number first; the sealer chained higher ones meanwhile."""
        written, sealed = threading.Event(), threading.Event()

        def slow():
            try:
                with transaction.atomic():
                    record_change("user:1", action="slow", object_type="source", object_ids=["a"], fields=[])
                    written.set()
                    assert sealed.wait(20)
            finally:
                connection.close()

        thread = threading.Thread(target=slow)
        thread.start()
        assert written.wait(20)
        record_change("user:1", action="quick", object_type="source", object_ids=["b"], fields=[])
        assert seal() == 1
        sealed.set()
        thread.join()
        assert seal() == 1
        rows = list(AuditEntry.objects.order_by("place").values_list("action", "pk"))
        assert ([action for action, _ in rows], rows[0][1] > rows[1][1]) == (["quick", "slow"], True)
        assert verify() == good(2)

    def test_several_sealers_and_writers_make_one_chain(self, monkeypatch):
        monkeypatch.setattr(audit_seal, "BATCH", 4)
        start, failed = threading.Barrier(4), []

        def work(job):
            try:
                start.wait(20)
                for n in range(15):
                    job(n)
            except BaseException as error:
                failed.append(error)
            finally:
                connection.close()

        def write(n):
            record_change("user:1", action="change", object_type="source", object_ids=[n], fields=[])

        threads = [threading.Thread(target=work, args=(job,)) for job in (write, write, *[lambda _n: seal()] * 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        seal()
        assert verify() == good(30)
        assert read_head().place == 30


class TestErasure:
    def test_the_id_goes_and_the_chain_verifies(self):
        add(1, ids=["ada", "bob"])
        add(1, ids=["ada"])
        bob = add(1, ids=["bob"])
        seal()
        waiting = add(1, ids=["ada"])
        salts = dict(AuditEntry.objects.values_list("pk", "salt"))
        assert forget_objects(["ada"]) == 3
        assert list(AuditEntry.objects.order_by("id").values_list("object_ids", flat=True)) == [
            ["erased", "bob"], ["erased"], ["bob"], ["erased"],
        ]  # fmt: skip
        changed = {pk for pk, salt in AuditEntry.objects.values_list("pk", "salt") if bytes(salt) != bytes(salts[pk])}
        assert changed == set(salts) - set(bob)
        assert verify() == Verification(3, 3, 1, AuditEntry.objects.get(pk=waiting[0]).at, "")
        seal()
        assert verify() == good(4, erased=3)
        assert forget_objects(["ada"]) == 0

    def test_what_is_left_stays_under_seal(self):
        [row] = add(1, ids=["ada", "bob"])
        seal()
        forget_objects(["ada"])
        sql('update access_auditentry set object_ids = \'["erased", "eve"]\' where id = %s', row)
        assert verify().entry == row

    @pytest.mark.parametrize("object_id", ['a"b', "ą", "a\\b", "%", "erased "])
    def test_ids_of_any_spelling(self, object_id):
        add(1, ids=[object_id, "bob"])
        add(1, ids=["b", "a"])
        assert [e.object_ids for e in AuditEntry.objects.about(object_id)] == [[object_id, "bob"]]
        assert forget_objects([object_id]) == 1
        assert AuditEntry.objects.about(object_id).count() == 0


def test_rows_from_before_the_chain_are_marked_by_the_migration():
    old = {"actor": "user:1", "action": "read", "object_type": "profile", "request_id": 'r"1', "address": "203.0.113.0"}
    AuditEntry.objects.create(at=7, object_ids=["ą", "b"], fields=["e\\mail"], **old)
    assert "was not written by this installation" in verify().problem
    import_module("cdp.access.migrations.0002_audit_chain").mark_rows(apps, None)
    assert seal() == 1
    assert verify() == good(1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["add", "seal", "erase", "roll back"]), max_size=12), st.data())
def test_any_order_of_work_verifies_and_any_change_is_found(steps, data):
    with transaction.atomic():
        head_path().unlink(missing_ok=True)
        for number, step in enumerate(steps):
            if step == "add":
                add(2, ids=[f"p{number}", "everybody"])
            elif step == "seal":
                seal()
            elif step == "erase":
                forget_objects([f"p{number - 1}"])
            else:
                rolled_back(1)
        found = verify()
        total = AuditEntry.objects.count()
        assert (found.problem, found.rows + found.waiting) == ("", total)
        if total:
            victim = data.draw(st.sampled_from(list(AuditEntry.objects.values_list("pk", flat=True))))
            column = data.draw(st.sampled_from(["actor", "why", "action"]))
            sql(f"update access_auditentry set {column} = 'changed' where id = %s", victim)
            assert verify().entry == victim
        transaction.set_rollback(True)
