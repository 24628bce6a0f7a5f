"""Reference data of the fictional company: departments, titles, offices, projects, descriptions, error messages."""

from __future__ import annotations

from dataclasses import dataclass

COMPANY = "Acme"
DOMAIN = "acme.example"
DIRECTORY = "DC=corp,DC=acme,DC=example"


@dataclass(frozen=True, slots=True)
class Department:
    """A department.

    Attributes:
        name: its name.
        code: its cost centre, a text that may begin with zeros.
        titles: job titles of its people.
        ledger: number of its people, of 1,000, who have an account on the ledger.
        crm: number of its people, of 1,000, who have an account on the customer system.
    """

    name: str
    code: str
    titles: tuple[str, ...]
    ledger: int
    crm: int


DEPARTMENTS = (
    Department(
        "Engineering",
        "0110",
        ("Engineer", "Senior Engineer", "Test Engineer", "Designer", "Architect"),
        120,
        330,
    ),
    Department(
        "Sales",
        "0210",
        ("Account Executive", "Sales Engineer", "Inside Sales", "Key Account Manager"),
        300,
        970,
    ),
    Department("Operations", "0310", ("Planner", "Buyer", "Logistics Clerk", "Quality Inspector", "Fitter"), 550, 350),
    Department(
        "Finance",
        "0420",
        ("Accountant", "Controller", "Payables Clerk", "Treasury Analyst", "Auditor"),
        960,
        300,
    ),
    Department(
        "Information Technology",
        "0510",
        ("System Administrator", "Service Desk Analyst", "Database Administrator", "Security Analyst"),
        450,
        450,
    ),
    Department("Customer Support", "0610", ("Support Agent", "Support Engineer", "Trainer"), 150, 980),
    Department("Marketing", "0710", ("Writer", "Campaign Manager", "Event Manager", "Analyst"), 200, 850),
    Department("Human Resources", "0820", ("Recruiter", "Payroll Specialist", "HR Partner"), 500, 150),
    Department("Legal", "0910", ("Counsel", "Paralegal", "Privacy Officer"), 300, 250),
    Department("Executive Office", "0001", ("Chief Executive",), 1000, 1000),
)
EXECUTIVE = len(DEPARTMENTS) - 1
IT = 4
VICE_PRESIDENTS = (0, 1, 2, 3, 4, 5, 0, 1, 2, 6, 7, 8)
"""The department that each of the twelve vice presidents leads: an index of `DEPARTMENTS`."""
LEAD_TITLES = ("Chief Executive", "Vice President, {}", "Head of {}", "Manager, {}", "Team Lead, {}")
"""Titles of managers by their level in the hierarchy; deeper levels have the last title."""


@dataclass(frozen=True, slots=True)
class Office:
    """An office. Its `addresses` have commas, quotes and line breaks, to test how reports escape them."""

    city: str
    country: str
    region: str
    dial: str
    addresses: tuple[str, ...]


OFFICES = (
    Office(
        "Hamburg",
        "DE",
        "EMEA",
        "+49 40 555",
        ('Hafenstraße 12, Haus "Aurora"\n20457 Hamburg', "Elbkai 3, 20457 Hamburg"),
    ),
    Office(
        "Bristol",
        "GB",
        "EMEA",
        "+44 117 555",
        ("4 Quay Road, Floor 3\nBristol", '"The Granary", 9 Mill Lane, Bristol'),
    ),
    Office("Dublin", "IE", "EMEA", "+353 1 555", ("77 Canal Walk, Dublin 4",)),
    Office("Lyon", "FR", "EMEA", "+33 4 555", ("18 quai des Brumes\n69002 Lyon", "2, rue de l'Écluse, Lyon")),
    Office("Zürich", "CH", "EMEA", "+41 44 555", ("Seeuferweg 5, 8008 Zürich",)),
    Office("Valencia", "ES", "EMEA", "+34 96 555", ("Calle del Olmo 31, 2º izq.\n46003 Valencia",)),
    Office("Porto", "PT", "EMEA", "+351 22 555", ("Rua da Ribeira 8, Porto",)),
    Office("Kraków", "PL", "EMEA", "+48 12 555", ("ul. Wierzbowa 14/3\n31-002 Kraków",)),
    Office("Göteborg", "SE", "EMEA", "+46 31 555", ("Hamngatan 21, Göteborg",)),
    Office("Athens", "GR", "EMEA", "+30 21 555", ("Οδός Ελαιών 6, Αθήνα",)),
    Office("Nairobi", "KE", "EMEA", "+254 20 555", ("Acacia Close 15, Nairobi",)),
    Office("Toronto", "CA", "AMER", "+1 416 555", ("200 Harbour St., Suite 1400\nToronto ON",)),
    Office("Montréal", "CA", "AMER", "+1 514 555", ("45, rue des Érables, Montréal",)),
    Office("Denver", "US", "AMER", "+1 303 555", ('1 Mesa Plaza, "North Tower"\nDenver, CO',)),
    Office("São Paulo", "BR", "AMER", "+55 11 555", ("Av. das Acácias, 900, São Paulo",)),
    Office("Santiago", "CL", "AMER", "+56 2 555", ("Av. Los Álamos 1180, Santiago",)),
    Office("Osaka", "JP", "APAC", "+81 6 555", ("大阪市北区霧町 2-4-1\n大阪府",)),
    Office("Singapore", "SG", "APAC", "+65 6555", ("#08-12, 30 Harbour Link, Singapore",)),
    Office("Pune", "IN", "APAC", "+91 20 555", ("Plot 7, Banyan Park\nPune",)),
)

PROJECT_FIRST = (
    "Amber", "Basalt", "Cobalt", "Delta", "Ember", "Falcon", "Glacier", "Harbour", "Indigo", "Juniper",
    "Kestrel", "Lantern", "Meridian", "Nectar", "Orchid", "Pinnacle", "Quartz", "Reef", "Saffron", "Tundra",
    "Umber", "Vertex", "Willow", "Xenon", "Yarrow", "Zephyr",
)  # fmt: skip
PROJECT_SECOND = (
    "Archive",
    "Bridge",
    "Console",
    "Dock",
    "Engine",
    "Forge",
    "Gateway",
    "Hub",
    "Index",
    "Journal",
    "Kit",
)

DESCRIPTIONS = (
    'Known as "the night desk", Hamburg and Lyon',
    '=HYPERLINK("https://intranet.acme.example","details")',
    "Line one\nLine two, with a comma",
    "+ see ticket 00417",
    "Shared with Réception; do not delete",
    "@finance: keep until year end",
)
"""Texts for description fields, with quotes, commas, line breaks and beginnings that spreadsheets take for formulas."""

STAGES = (
    (
        "Correlate Manager",
        'No identity has "employeeNumber" 0099999,\nso the manager could not be set.',
        "ManagerNotFound: 0099999\n\tat refresh.Manager.find(88)\n\tat refresh.Refresh.run(140)",
    ),
    (
        "Process Identity Attributes",
        "The value of attribute email is used by another identity; expected a unique value.",
        "DuplicateValue: email\n\tat refresh.Attributes.check(51)",
    ),
    (
        "Provision Access",
        "Source 'Ledger Database' did not answer within 60 s (attempt 3 of 3).",
        "Timeout: Ledger Database\n\tat provision.Plan.send(207)",
    ),
    (
        "Assign Lifecycle State",
        "startDate “31.02.2026” is no date, expected yyyy-MM-dd.",
        "InvalidDate: 31.02.2026\n\tat refresh.Lifecycle.state(33)",
    ),
)
"""Failures of identity processing: the stage, the error message and the stack trace."""

BUILDINGS = ("Main Gate", "Tower", "Lab 2", "Server Room", "Car Park", "Canteen", "Archive, Basement")
