"""Steps that all changes of groups share: errors as answers, and people once each."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from gobelieve.groups.changes import (
    GroupChanges,
    HalfDoneError,
    NoGroupError,
    NoMemberError,
    Person,
    TakenError,
)
from gobelieve.protocols.http.app.operations import AWAY, ID, NAME, TaskQueue
from gobelieve.protocols.http.declarations.fields import Field, Fields, OptionalField
from gobelieve.protocols.http.declarations.parameters import Parameter, Parameters
from gobelieve.protocols.http.declarations.shapes import AnyOf, Text
from gobelieve.protocols.http.errors import HttpError

T = TypeVar("T")

ERRORS = {**AWAY, 404: "The app has no such group, or there is no database of groups."}
"""Errors of all operations on groups."""
NOTIFIED = "The members are notified."
GROUP = Parameter("group", ID, "The group.")


class OfGroup(Parameters):
    """A group of the app."""

    group = GROUP


class PersonFields(Fields):
    """A user with facts that apps are shown."""

    uid = Field(ID)
    name = OptionalField(NAME)
    avatar = OptionalField(Text(max_length=2000))


GivenPerson = int | PersonFields
"""A uid, or an object with one in it."""
PERSON = AnyOf[GivenPerson](ID, PersonFields)


class Groups:
    """Carries out changes of groups. `changes` is None where the site has no groups."""

    def __init__(self, changes: GroupChanges | None, tasks: TaskQueue) -> None:
        self._changes = changes
        self._tasks = tasks

    @property
    def changes(self) -> GroupChanges:
        """Return the changes; raise `HttpError` 404 where the site has no groups."""
        if self._changes is None:
            raise HttpError(404, "group not found", "mysqldb_datasource is not set")
        return self._changes

    async def do(self, key: object, work: Callable[[], Awaitable[T]]) -> T:
        """Do it, after all tasks with the same key; raise `HttpError`."""
        return await answered(self._tasks.do(key, work))


async def answered(work: Awaitable[T]) -> T:
    """Return the result of a change or a look-up; raise its error as `HttpError`."""
    try:
        return await work
    except NoGroupError:
        raise HttpError(404, "group not found") from None
    except NoMemberError:
        raise HttpError(404, "member not found") from None
    except TakenError as why:
        raise HttpError(409, "group exists", str(why)) from None
    except HalfDoneError as why:
        data = {"group_id": why.group_id}
        headers = {"retry-after": "1"}
        raise HttpError(503, "service unavailable", str(why), data, headers) from None


def as_given(person: GivenPerson) -> Any:
    """Return a person in JSON, as the app's server gave it."""
    return person if isinstance(person, int) else person.given


def people(given: Sequence[GivenPerson]) -> list[Person]:
    """Return each person once; the first facts that were given count."""
    found: dict[int, Person] = {}
    for one in given:
        if isinstance(one, int):
            found.setdefault(one, Person(one))
        else:
            facts = {name: value for name, value in one.given.items() if name != "uid"}
            found.setdefault(one.uid, Person(one.uid, facts))
    return list(found.values())
