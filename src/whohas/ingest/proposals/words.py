"""Vocabulary of exports in English, German, French and Spanish: names of columns and words for yes, no and states."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final


class Concept(StrEnum):
    """The meaning of a column, independent of its name."""

    EMPLOYEE = "employee number"
    LOGIN = "login name"
    DN = "distinguished name"
    UPN = "user principal name"
    EMAIL = "mail address"
    ID = "id"
    FIRST_NAME = "first name"
    LAST_NAME = "last name"
    DISPLAY_NAME = "full name"
    PHONE = "telephone number"
    MANAGER = "manager"
    STATUS = "status"
    ENABLED = "enabled"
    DISABLED = "disabled"
    LOCKED = "locked"
    PRIVILEGED = "privileged"
    UAC = "userAccountControl"
    CREATED = "created"
    START = "start date"
    END = "end date"
    MODIFIED = "modified"
    LAST_LOGIN = "last sign-in"
    PASSWORD_SET = "password last set"  # noqa: S105 - a concept, no password
    SECRET = "secret"  # noqa: S105
    SECOND_FACTOR = "second factor"
    DESCRIPTION = "description"
    ENTITLEMENT = "entitlement"
    SOURCE = "source"
    WORK = "place in the organization"


_PHRASES: Final[dict[Concept, str]] = {
    Concept.MANAGER: "manager; line manager; manager id; manager no; manager number; manager email; manager name; "
    "supervisor; reports to; vorgesetzter; vorgesetzte; vorgesetzten; fuhrungskraft; teamleiter; teamleitung; "
    "superieur; superieur hierarchique; responsable; responsable hierarchique; manageur; jefe; jefe directo; gerente",
    Concept.EMPLOYEE: "employee number; employee no; employee nr; employee id; employee num; employee key; emp no; "
    "emp id; emp nr; empno; empid; emplid; staff number; staff no; staff id; worker id; worker number; person number; "
    "person id; personnel number; personnel no; pers no; personalnummer; personal nr; personalnr; pers nr; persnr; "
    "mitarbeiternummer; mitarbeiternr; mitarbeiter nr; mitarbeiter id; manr; ma nr; matricule; numero matricule; "
    "numero de matricule; numero employe; numero d employe; numero salarie; id salarie; numero de empleado; "
    "numero empleado; num empleado; no empleado; id empleado; codigo empleado; codigo de empleado; legajo",
    Concept.LOGIN: "sam account name; samaccountname; login; login name; login id; logon; logon name; user name; "
    "user id; user; uid; user login; user key; user code; account; account name; account id; userid; username; "
    "principal; member; benutzer; benutzername; benutzerkennung; benutzer id; kennung; anmeldename; konto; kontoname; "
    "nutzer; nutzername; mitglied; utilisateur; identifiant; nom d utilisateur; nom utilisateur; id utilisateur; "
    "compte; usuario; nombre de usuario; nombre usuario; id usuario; cuenta; native identity",
    Concept.DN: "distinguished name; distinguishedname; dn",
    Concept.UPN: "user principal name; userprincipalname; upn",
    Concept.EMAIL: "email; e mail; mail; email address; e mail address; mail address; email id; work email; "
    "business email; primary email; emailadresse; e mail adresse; mailadresse; courriel; adresse mail; adresse email; "
    "adresse e mail; adresse courriel; adresse electronique; correo; correo electronico; direccion de correo",
    Concept.ID: "object guid; objectguid; object sid; objectsid; object id; id; guid; uuid; identifier; record id; "
    "key; external id; badge no; badge number; card no; card number; number; no; nr; nummer; ausweisnummer; numero",
    Concept.FIRST_NAME: "first name; firstname; given name; givenname; forename; preferred first name; vorname; "
    "rufname; prenom; nombre; primer nombre; nombre de pila",
    Concept.LAST_NAME: "last name; lastname; surname; sn; family name; nachname; familienname; zuname; nom; "
    "nom de famille; nom usuel; apellido; apellidos; primer apellido",
    Concept.DISPLAY_NAME: "display name; displayname; full name; fullname; name; complete name; cn; common name; "
    "employee name; legal name; holder; owner name; anzeigename; vollstandiger name; vollername; name vorname; "
    "nachname vorname; mitarbeiter; inhaber; nom complet; nom affiche; nom prenom; nom et prenom; nombre completo; "
    "apellidos y nombre; nombre y apellidos",
    Concept.PHONE: "phone; phone number; telephone; telephone number; mobile; mobile phone; telefon; telefonnummer; "
    "handy; mobiltelefon; portable; numero de telephone; telefono; movil",
    Concept.STATUS: "status; state; account status; user status; employment status; employee status; "
    "lifecycle state; lifecycle status; worker status; assignment status; zustand; beschaftigungsstatus; "
    "mitarbeiterstatus; statut; etat; estado; estatus; situacion",
    Concept.ENABLED: "enabled; account enabled; is enabled; user enabled; active; is active; active user; "
    "aktiv; aktiviert; freigeschaltet; actif; active; compte actif; activo; activa; habilitado; habilitada",
    Concept.DISABLED: "disabled; account disabled; is disabled; deactivated; inactive; is inactive; suspended; "
    "is suspended; deaktiviert; inaktiv; stillgelegt; desactive; inactif; suspendu; "
    "deshabilitado; desactivado; inactivo",
    Concept.LOCKED: "locked; is locked; locked out; lockedout; lockout; account locked; gesperrt; verrouille; bloque; "
    "bloqueado; blocked; is blocked",
    Concept.PRIVILEGED: "privileged; is privileged; admin; is admin; administrator; is administrator; superuser; "
    "is superuser; super admin; site admin; privilegiert; administrateur; administrador",
    Concept.UAC: "user account control; useraccountcontrol",
    Concept.CREATED: "created; created at; created on; created date; create date; creation date; creation time; "
    "date created; when created; whencreated; createtimestamp; issued; issue date; member since; joined; "
    "date added; added; erstellt; erstellt am; angelegt; angelegt am; anlagedatum; erstellungsdatum; cree; cree le; "
    "date de creation; date creation; creado; creado el; fecha de creacion; fecha creacion",
    Concept.START: "start date; startdate; hire date; hiredate; hired; date of hire; join date; joining date; "
    "date of joining; entry date; begin date; employment start; valid from; start; eintritt; eintrittsdatum; "
    "eintritt am; einstellungsdatum; beginn; gultig ab; date d entree; date entree; date d embauche; date embauche; "
    "date d arrivee; fecha de ingreso; fecha ingreso; fecha de alta; fecha alta; fecha de inicio; fecha inicio; "
    "fecha de contratacion",
    Concept.END: "end date; enddate; termination date; terminated on; leave date; leaving date; last day; exit date; "
    "separation date; employment end; valid to; valid until; expires; expiry; expiry date; account expires; end; "
    "austritt; austrittsdatum; austritt am; ende; gultig bis; date de sortie; date sortie; date de depart; "
    "date de fin; fecha de baja; fecha baja; fecha de fin; fecha fin; fecha de salida",
    Concept.MODIFIED: "modified; modified at; modified on; last modified; when changed; whenchanged; changed; "
    "changed at; updated; updated at; last updated; last update; modification date; modifytimestamp; geandert; "
    "geandert am; zuletzt geandert; modifie; modifie le; date de modification; modificado; fecha de modificacion",
    Concept.LAST_LOGIN: "last login; last log in; last logon; lastlogon; last logon timestamp; lastlogontimestamp; "
    "last logon date; last login date; last login at; last sign in; last signin; last active; last activity; "
    "last seen; last access; letzte anmeldung; letzter login; derniere connexion; dernier acces; ultimo acceso; "
    "ultimo inicio de sesion; ultima conexion",
    Concept.PASSWORD_SET: "pwd last set; pwdlastset; password last set; passwordlastset; password changed; "
    "password last changed; last password change; password change date; passwort geandert; passwort zuletzt geandert; "
    "mot de passe modifie; cambio de contrasena; ultimo cambio de contrasena",
    Concept.SECRET: "password; passwd; pwd; password hash; unicode pwd; unicodepwd; secret; api key; token; "
    "private key; pin; passwort; kennwort; mot de passe; contrasena; ssn; social security number; iban",
    Concept.SECOND_FACTOR: "2fa; mfa; two factor; two factor auth; two factor authentication; second factor; "
    "multi factor; otp; 2fa enabled; mfa enabled; 2sv; zwei faktor",
    Concept.DESCRIPTION: "description; role description; group description; beschreibung; bemerkung; comment; "
    "comments; note; notes; descripcion; commentaire; libelle; observaciones",
    Concept.ENTITLEMENT: "group; groups; group name; member of; memberof; role; roles; role name; role id; "
    "permission; permissions; entitlement; entitlements; profile; profiles; access; privilege; privileges; "
    "access level; access right; team; teams; license; licenses; licence; licences; rolle; rollen; rollenname; "
    "gruppe; gruppen; gruppenname; berechtigung; berechtigungen; recht; rechte; profil; profils; groupe; groupes; "
    "droit; droits; rol; grupo; grupos; permiso; permisos; perfil; perfiles; lizenz; lizenzen; fonction applicative",
    Concept.SOURCE: "source; source name; application; application name; app; app name; system; system name; "
    "instance; tenant; organization; organisation; org; domain; directory; anwendung; mandant; domane; "
    "systeme; domaine; aplicacion; sistema; dominio",
    Concept.WORK: "department; dept; division; job title; title; position; company; location; office; city; "
    "cost center; cost centre; costcenter; business unit; organizational unit; team name; country; contract type; "
    "employment type; abteilung; kostenstelle; funktion; standort; firma; bereich; stelle; ort; titel; "
    "service; departement; poste; fonction; societe; site; centre de cout; departamento; puesto; cargo; empresa; "
    "centro de coste; sede; ubicacion",
}

_FIRST = (Concept.LAST_LOGIN, Concept.PASSWORD_SET, Concept.SECOND_FACTOR, Concept.MANAGER)
"""Concepts that win over all others if their words are part of a name: `manager email` is about the manager, not an
email address of the person."""

_PARTIAL = frozenset(Concept) - {Concept.ID, Concept.SOURCE, Concept.SECRET, Concept.STATUS, Concept.PRIVILEGED}
"""Concepts that are recognized by a part of a column's name; the words of the others are too common for that."""


@dataclass(frozen=True, slots=True)
class NamedColumn:
    """The concept that was found in a column's name.

    Attributes:
        concept: the concept.
        rank: index of the matching phrase among the concept's phrases, which are sorted from specific to vague.
        exact: whether the entire name is this phrase, rather than containing it.
    """

    concept: Concept
    rank: int
    exact: bool


def name_words(name: str) -> tuple[str, ...]:
    """Return the words of a column's name in lower case without accents or punctuation.

    Examples: `Pers.-Nr.` → ("pers", "nr"); `whenCreated` → ("when", "created").
    """
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return tuple(re.sub(r"[\W_]+", " ", plain.casefold()).split())


@cache
def _phrases(concept: Concept) -> list[tuple[str, ...]]:
    return [tuple(phrase.split()) for phrase in _PHRASES[concept].split(";")]


def _index() -> dict[str, NamedColumn]:
    found: dict[str, NamedColumn] = {}
    for concept in _PHRASES:
        for rank, phrase in enumerate(_phrases(concept)):
            found.setdefault("".join(phrase), NamedColumn(concept, rank, True))
    return found


_WHOLE: Final = _index()


def concept_of(name: str) -> NamedColumn | None:
    """Return the concept of a column's name, or None if no known phrase is in it.

    The whole name is looked up first; then concepts in `_FIRST`; then the longest phrase that the name contains, of two
    equally long ones the later.
    """
    words = name_words(name)
    joined = "".join(words)
    whole = _WHOLE.get(joined)
    if whole is not None:
        return whole
    if words[:1] == ("is",) and "manager" in words:
        return None
    for concept in _FIRST:
        if (rank := _within(words, concept)) is not None:
            return NamedColumn(concept, rank[1], False)
    best: tuple[int, int, NamedColumn] | None = None
    for concept in _PHRASES:
        if concept in _PARTIAL and (found := _within(words, concept)) is not None:
            length, rank, end = found
            if best is None or (length, end) > best[:2]:
                best = (length, end, NamedColumn(concept, rank, False))
    return best[2] if best else None


def _within(words: tuple[str, ...], concept: Concept) -> tuple[int, int, int] | None:
    """Return word count, rank and end of the longest phrase of a concept within a name; of two as long, the later.

    None if the name contains no phrase of the concept.
    """
    best: tuple[int, int, int] | None = None
    for rank, parts in enumerate(_phrases(concept)):
        for start in range(len(words) - len(parts) + 1):
            if words[start : start + len(parts)] == parts:
                found = (len(parts), rank, start + len(parts))
                if best is None or (found[0], found[2]) > (best[0], best[2]):
                    best = found
    return best


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TRUE_WORDS: Final = _words(
    "true t yes y 1 on x ja j wahr oui o vrai si s verdadero enabled active activated aktiv aktiviert actif active "
    "activo activa habilitado"
)
FALSE_WORDS: Final = _words(
    "false f no n 0 off nein falsch non faux falso disabled inactive deactivated inaktiv deaktiviert inactif "
    "inactivo inactiva deshabilitado never"
)
BUILT_IN_BOOLEANS: Final = _words("true t yes y 1 false f no n 0")
"""Words that a load parses as booleans without a list in the mapping."""

IN_USE: Final = _words(
    "active enabled activated ok working employed current hired open valid normal live invited pending provisioned "
    "staged onboarding prehire prestart leave onleave loa parental parentalleave sabbatical aktiv aktiviert "
    "beschaftigt angestellt elternzeit mutterschutz ruhend eingeladen actif activee employe present conge enposte "
    "invite activo activa habilitado vigente licencia contratado a registered confirmed probation probezeit regular"
)
"""Values of a status column that mean the account is in use."""

DISABLED: Final = _words(
    "inactive disabled deactivated suspended terminated left leaver ended closed expired blocked locked deleted "
    "archived deprovisioned retired resigned dismissed separated exited former inaktiv deaktiviert gesperrt "
    "ausgeschieden ausgetreten gekundigt beendet stillgelegt geloscht rente inactif inactive desactive "
    "suspendu sorti parti termine bloque inactivo inactiva deshabilitado suspendido baja cesado bloqueado "
    "terminado removed revoked i t d"
)
"""Values of a status column that mean the account is disabled."""

NO_VALUE: Final = _words("null nil none n/a #n/a na - -- --- <null> (null) (none) <leer> leer vide vacio \\n")
"""Texts that mean "no value", in lower case."""


def normalized_word(text: str) -> str:
    """Return a cell's text in the form of the sets above: lower case, without accents, blanks and punctuation."""
    return "".join(name_words(text.strip().lower()))


def all_in(words: Iterable[str], known: frozenset[str]) -> bool:
    """Return whether all cell texts are in a set of words."""
    return all(normalized_word(text) in known for text in words)
