import numpy as np

from stream.sources.shop import START_MS, Shop
from stream.sources.shop_attributes import ItemAttributes, UserAttributes
from stream.sources.simulator import SimulatorConfig, simulate

CONFIG = SimulatorConfig(clicks=500, users=400, items=200, attributes=True, vectors=8)


def test_without_them_nothing_is_said():
    shop = Shop(SimulatorConfig(users=5, items=24))
    assert (ItemAttributes(shop).of(3), UserAttributes(shop).of(3)) == ({}, {})


def test_a_brand_is_a_series():
    shop = Shop(CONFIG)
    attributes = ItemAttributes(shop)
    brands = [attributes.of(item)["attributes"]["brand"] for item in range(200)]
    followed = np.flatnonzero(shop.items.successor_V >= 0)
    assert all(brands[item] == brands[shop.items.successor_V[item]] for item in followed)
    assert len(set(brands)) == 200 - len(followed)


def test_images_are_like_those_of_their_category():
    shop = Shop(CONFIG)
    attributes = ItemAttributes(shop)
    image_VE = np.array([attributes.of(item)["vectors"]["image"] for item in range(200)])
    unit_VE = image_VE / np.linalg.norm(image_VE, axis=1, keepdims=True)
    cosine_VV = unit_VE @ unit_VE.T
    is_same_VV = shop.items.category_V[:, None] == shop.items.category_V
    assert cosine_VV[is_same_VV].mean() > 0.6
    assert abs(cosine_VV[~is_same_VV].mean()) < 0.2


def test_segments_and_ages_go_with_the_favourite():
    shop = Shop(CONFIG)
    attributes = UserAttributes(shop)
    told = [attributes.of(user)["attributes"] for user in range(400)]
    favourite_U = shop.taste(np.arange(400), np.full(400, START_MS)).argmax(axis=1)
    ages = np.array([one["age"] for one in told])
    within = np.mean([ages[favourite_U == c].std() for c in range(12) if (favourite_U == c).any()])
    assert within < 0.7 * ages.std()
    segments = np.array([one["segment"] for one in told])
    for category in range(12):
        of_category = segments[favourite_U == category]
        if len(of_category) > 20:
            assert max(np.unique(of_category, return_counts=True)[1]) > 0.6 * len(of_category)


def test_events_bring_them_and_are_otherwise_what_they_were():
    plain = CONFIG.model_copy(update={"attributes": False, "vectors": 0})
    rich = [dict(event) for event in simulate(CONFIG).events()]
    brought = {"item": 0, "user": 0}
    for event in rich:
        if event.pop("attributes", None):
            brought[event["type"]] += 1
        event.pop("vectors", None)
    assert rich == list(simulate(plain).events())
    assert brought == {"item": 200, "user": sum(event["type"] == "user" for event in rich)}


def test_as_many_users_have_a_profile_as_are_asked_for():
    def share(ratio: float) -> float:
        config = CONFIG.model_copy(update={"profile_ratio": ratio})
        events = list(simulate(config).events())
        users = {event["user"] for event in events if event["type"] == "click"}
        told = {event["user"] for event in events if event["type"] == "user"}
        return len(told) / len(users | told)

    assert share(0.0) == 0
    assert 0.7 < share(0.8) < 0.9
    assert share(1.0) == 1
