"""Every operation as a method, once for both clients: each binds a description of a request to its client."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from leadline.client import requests

if TYPE_CHECKING:
    from leadline.client.asynchronous import AsyncClient
    from leadline.client.requests import PageRequest, Request
    from leadline.client.synchronous import Client

P = ParamSpec("P")
T = TypeVar("T")


class Method(Generic[P, T]):
    """A method that makes the described request and answers its value."""

    def __init__(self, describe: Callable[P, Request[T]]) -> None:
        self.describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Method[P, T]: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self.describe)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.value_of(self.describe(*args, **kwargs))

        return method


class PagesMethod(Generic[P, T]):
    """A method that goes through all pages, fetching each when it is reached. `limit` is a page's size."""

    def __init__(self, describe: Callable[P, PageRequest[T]]) -> None:
        self.describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> PagesMethod[P, T]: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, AsyncGenerator[T, None]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self.describe)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.items_of(self.describe(*args, **kwargs))

        return method


class Operations:
    """What both clients can do. Arguments and effects are those of the functions in `leadline.client.requests`."""

    list_outcomes = Method(requests.list_outcomes)
    create_outcome = Method(requests.create_outcome)
    replace_outcome = Method(requests.replace_outcome)
    delete_outcome = Method(requests.delete_outcome)

    list_smart_lists = Method(requests.list_smart_lists)
    iter_smart_lists = PagesMethod(requests.list_smart_lists)
    create_smart_list = Method(requests.create_smart_list)
    get_smart_list = Method(requests.get_smart_list)
    rename_smart_list = Method(requests.rename_smart_list)
    delete_smart_list = Method(requests.delete_smart_list)
    list_members = Method(requests.list_members)
    iter_members = PagesMethod(requests.list_members)
    join_smart_list = Method(requests.join_smart_list)
    leave_smart_list = Method(requests.leave_smart_list)

    list_contacts = Method(requests.list_contacts)
    iter_contacts = PagesMethod(requests.list_contacts)
    create_contact = Method(requests.create_contact)
    get_contact = Method(requests.get_contact)
    change_contact = Method(requests.change_contact)
    erase_contact = Method(requests.erase_contact)
    contact_history = Method(requests.contact_history)
    iter_contact_history = PagesMethod(requests.contact_history)

    get_configuration = Method(requests.get_configuration)
    plan_configuration = Method(requests.plan_configuration)
    apply_configuration = Method(requests.apply_configuration)

    list_contact_imports = Method(requests.list_contact_imports)
    iter_contact_imports = PagesMethod(requests.list_contact_imports)
    create_contact_import = Method(requests.create_contact_import)
    get_contact_import = Method(requests.get_contact_import)
    put_contact_import_part = Method(requests.put_contact_import_part)
    preview_contact_import = Method(requests.preview_contact_import)
    start_contact_import = Method(requests.start_contact_import)
    cancel_contact_import = Method(requests.cancel_contact_import)
    list_contact_import_problems = Method(requests.list_contact_import_problems)
    iter_contact_import_problems = PagesMethod(requests.list_contact_import_problems)

    start_call = Method(requests.start_call)
    list_calls = Method(requests.list_calls)
    iter_calls = PagesMethod(requests.list_calls)
    get_call = Method(requests.get_call)
    answer_call = Method(requests.answer_call)
    end_call = Method(requests.end_call)
    apply_outcome = Method(requests.apply_outcome)
    list_agents = Method(requests.list_agents)
    iter_agents = PagesMethod(requests.list_agents)
    get_agent = Method(requests.get_agent)

    list_deliveries = Method(requests.list_deliveries)
    iter_deliveries = PagesMethod(requests.list_deliveries)
    get_delivery = Method(requests.get_delivery)
    retry_delivery = Method(requests.retry_delivery)
    cancel_delivery = Method(requests.cancel_delivery)
    replay_deliveries = Method(requests.replay_deliveries)
    get_replay = Method(requests.get_replay)
    cancel_replay = Method(requests.cancel_replay)
    list_endpoints = Method(requests.list_endpoints)
    iter_endpoints = PagesMethod(requests.list_endpoints)
    get_endpoint = Method(requests.get_endpoint)
    change_endpoint = Method(requests.change_endpoint)
    test_endpoint = Method(requests.test_endpoint)
    get_webhook_secret = Method(requests.get_webhook_secret)
    rotate_webhook_secret = Method(requests.rotate_webhook_secret)

    get_workspace = Method(requests.get_workspace)
    change_workspace = Method(requests.change_workspace)
    list_events = Method(requests.list_events)
    iter_events = PagesMethod(requests.list_events)

    report_outcomes = Method(requests.report_outcomes)
    report_dispositions = Method(requests.report_dispositions)
    report_rates = Method(requests.report_rates)
    report_agents = Method(requests.report_agents)
    report_smart_lists = Method(requests.report_smart_lists)
    report_wrap_up = Method(requests.report_wrap_up)
    report_missing_dispositions = Method(requests.report_missing_dispositions)
    report_webhooks = Method(requests.report_webhooks)
