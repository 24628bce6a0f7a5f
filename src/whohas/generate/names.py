# ruff: noqa: RUF001 - names are written in their own scripts
"""Given and family names of fictional people.

Given names are common ones; family names are composed of two parts and mostly invented. A name may be followed by its
form in Latin letters: `Ветр=vetr`. Every pair of given and family name has a different Latin form.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NamePool:
    """The names of one language. Lists of names are separated by semicolons.

    Attributes:
        given: given names.
        heads: first parts of family names.
        tails: second parts of family names; each is combined with each first part.
        whole: family names that are not composed.
        home: cities of `reference_data.OFFICES` where most people with these names work.
        family_first: whether the family name is written first.
    """

    given: str
    heads: str
    tails: str
    whole: str = ""
    home: tuple[str, ...] = ()
    family_first: bool = False


@dataclass(frozen=True, slots=True)
class Name:
    """A name: `shown` in its own script, `latin` in lower-case ASCII letters."""

    shown: str
    latin: str


_LATIN = str.maketrans(
    {
        "ł": "l",
        "ø": "o",
        "ß": "ss",
        "đ": "d",
        "ı": "i",
        "æ": "ae",
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "'": "",
        " ": "",
    }
)


def parse_name(word: str) -> Name:
    """Parse `shown=latin` or `shown`; without `latin` it is derived by removing accents."""
    shown, _, latin = word.partition("=")
    if latin:
        return Name(shown, latin)
    plain = unicodedata.normalize("NFKD", shown.lower().translate(_LATIN))
    return Name(shown, "".join(c for c in plain if c.isascii()))


def parse_names(text: str) -> list[Name]:
    """Parse a list of names separated by semicolons."""
    return [parse_name(word) for word in text.split(";") if word]


def family_names(culture: NamePool) -> list[Name]:
    """Return all family names of a culture: the composed ones, then the others."""
    tails = parse_names(culture.tails) or [Name("", "")]
    composed = [Name(h.shown + t.shown, h.latin + t.latin) for h in parse_names(culture.heads) for t in tails]
    return composed + parse_names(culture.whole)


CULTURES = (
    NamePool(
        given="Alice;Edmund;Harriet;Rowan;Imogen;Callum;Beatrice;Gareth;Tamsin;Owen;Philippa;Duncan;Rosalind;Hugh;"
        'Maeve;Declan;Bronwen;Fergus;Cordelia;Angus;Niamh;Ruairí;William "Bill"=william;'
        'Margaret "Peggy"=margaret;Winifred;Barnaby;Clementine;Jasper;Ottoline;Piers;Sorcha;Tobias',
        heads="Alder;Bramble;Thorn;Quill;Raven;Hazel;Marsh;Copper;Winter;Fern;Heather;Larks;Oaken;Pebble;Sedge;Tarn",
        tails="wick;mere;combe;shaw;holt;gate;stead;worthy;garth;bourne;dene;ley",
        whole="O'Larkin;O'Fennimore;Mac Tarrow;Quillhaven, Jr.=quillhaven.jr;Pemberley-Vosse=pemberley-vosse",
        home=("Bristol", "Dublin", "Toronto", "Denver"),
    ),
    NamePool(
        given="Anna;Björn;Claudia;Dieter;Elke;Florian;Gisela;Heiko;Ingrid;Jürgen;Käthe;Lukas;Marlene;Niklas;Ottilie;"
        "Petra;Rüdiger;Sabine;Thilo;Ute;Volker;Wiebke;Xaver;Yannick;Zita;Sören;Friederike;Matthias",
        heads="Eichen;Birken;Tannen;Linden;Falken;Stern;Silber;Wald;Nebel;Korn;Mühlen;Rosen;Stein;Krähen;Winzer",
        tails="thal;feldt;brück;hain;hagen;moor;grundt;löh;quell;kamp;rieder",
        whole="Weißgerberich;Großkreutzer",
        home=("Hamburg", "Zürich"),
    ),
    NamePool(
        given="Adèle;Benoît;Chloé;Didier;Élodie;François;Geneviève;Hugues;Inès;Jérôme;Léa;Mathéo;Noémie;Océane;Pascal;"
        "Quentin;Rémi;Solène;Thérèse;Ulysse;Valérie;Yves;Zoé;Anaïs;Loïc;Maëlle",
        heads="Mont;Beau;Clair;Haut;Roche;Val;Fontan;Bois;Champ;Pré;Vieux;Grand",
        tails="vernet;lancy;champain;ruisset;vigny;marais;sorel;tilleul;loubert;moret;chêne",
        whole="d'Aubervane;de la Rochemarais;L'Hôtellerin",
        home=("Lyon", "Montréal"),
    ),
    NamePool(
        given="Álvaro;Belén;Ciro;Dolores;Esteban;Fátima;Gonzalo;Inés;Joaquín;Lucía;Martín;Nuria;Óscar;Paloma;Ramón;"
        "Sofía;Tomás;Úrsula;Vicente;Ximena;Íñigo;Pilar;Andrés;Concepción",
        heads="Valde;Monte;Fuente;Rio;Torre;Campo;Alta;Piedra;Villa;Puente",
        tails="serena;luengo;cañada;roblés;mirón;nuño;salvia;quinta;zarza;olmo",
        whole="Ordóñez-Valdemora=ordonez-valdemora;Peñascosa",
        home=("Valencia", "Santiago"),
    ),
    NamePool(
        given="Afonso;Beatriz;Caio;Débora;Eduarda;Frederico;Glória;Heitor;Iara;João;Luísa;Mário;Natália;Otávio;Raíssa;"
        "Simão;Tânia;Vítor;Antônia;Conceição",
        heads="Serra;Ribeira;Figueir;Carval;Olivei;Nasci;Pinha;Lagoa",
        tails="lhais;mundo;redo;zinha;ção;vedro;meida;torga",
        whole="Araújo-Moitinho=araujo-moitinho",
        home=("São Paulo", "Porto"),
    ),
    NamePool(
        given="Łucja;Bartłomiej;Czesław;Dagmara;Elżbieta;Grażyna;Jędrzej;Kinga;Michał;Mieszko;Nadzieja;Oliwia;Paweł;"
        "Rafał;Stanisław;Świętosława;Tomasz;Urszula;Wojciech;Zuzanna;Žofie;Ondřej;Květa;Šimon",
        heads="Brzoz;Wierzb;Sokol;Jastrz;Dąbr;Krzem;Wrzos;Jawor;Śnież;Grzyb",
        tails="owicz;yk;ecki-Wróbl=ecki-wrobl;eniak;uszko;ęga;omir;asz",
        home=("Kraków", "Hamburg"),
    ),
    NamePool(
        given="Åsa;Bjørn;Dagny;Eirik;Frøya;Gunnar;Håkon;Ingeborg;Jørgen;Kåre;Linnéa;Mårten;Oddny;Pål;Ragnhild;Sigurd;"
        "Torbjörn;Vigdís;Ylva;Øystein;Ægir;Þóra=thora",
        heads="Fjell;Björk;Havs;Sky;Granit;Älv;Nord;Is;Tind;Lyng",
        tails="kvist;ström;dahlen;vik;mark;løkke;haug;gård;lund",
        home=("Göteborg",),
    ),
    NamePool(
        given="Alessia;Beppe;Chiara;Donato;Eufemia;Fabrizio;Ginevra;Ippolita;Lapo;Mirella;Niccolò;Ornella;Pasquale;"
        "Rosalba;Saverio;Tiziana;Ubaldo;Zeno",
        heads="Acqua;Belle;Casta;Monda;Palo;Selva;Terra;Fiora",
        tails="chiara;montini;gnoli;verdi;spino;rossa;dori;vanti",
        home=("Lyon", "Zürich"),
    ),
    NamePool(
        given="Ayşe;Barış;Çağla;Deniz;Emre;Gülşen;Hakan;İpek=ipek;Kerem;Leyla;Mert;Nazlı;Onur;Özge;Selin;Şule;Tolga;"
        "Ümit;Yağmur;Zeynep",
        heads="Dağ;Gök;Kara;Ak;Yıldız;Deniz;Çınar;Kaya",
        tails="soylu;pınar;oğulları;tepeli;ışık;gülenç;çelebi;demirci",
        home=("Hamburg", "Athens"),
    ),
    NamePool(
        given="Αλέξανδρος=alexandros;Βασιλική=vasiliki;Γιώργος=giorgos;Δήμητρα=dimitra;Ελένη=eleni;Ζωή=zoi;"
        "Ηλίας=ilias;Θάλεια=thaleia;Ιωάννης=ioannis;Κατερίνα=katerina;Λευτέρης=lefteris;Μαρίνα=marina;Νίκος=nikos;"
        "Ξένια=xenia;Οδυσσέας=odysseas;Σπύρος=spyros",
        heads="Θαλασσ=thalass;Πετρ=petr;Ανεμ=anem;Χρυσ=chrys;Ελαι=elai;Πευκ=pefk",
        tails="άκης=akis;έλης=elis;άτος=atos;ίτης=itis;ιώτης=iotis",
        home=("Athens",),
    ),
    NamePool(
        given="Андрій=andrii;Богдана=bohdana;Василь=vasyl;Галина=halyna;Дмитро=dmytro;Євгенія=yevheniia;Зоряна=zoriana;"
        "Іван=ivan;Катерина=kateryna;Любов=liubov;Микола=mykola;Надія=nadiia;Олег=oleh;Поліна=polina;Роман=roman;"
        "Соломія=solomiia;Тарас=taras;Юлія=yuliia",
        heads="Ветр=vetr;Снігир=snihyr;Березн=berezn;Ковил=kovyl;Лісов=lisov;Журавл=zhuravl;Хмар=khmar;Дзвін=dzvin",
        tails="енко=enko;чук=chuk;юк=yuk;енюк=eniuk;ченко=chenko",
        home=("Kraków", "Denver"),
    ),
    NamePool(
        given="桜=sakura;陽翔=haruto;美咲=misaki;蓮=ren;結衣=yui;大和=yamato;葵=aoi;悠真=yuma;凛=rin;湊=minato;芽依=mei;"
        "颯太=sota;紬=tsumugi;律=ritsu;楓=kaede;千尋=chihiro",
        heads="霧=kiri;星=hoshi;雪=yuki;青=ao;月=tsuki;風=kaze",
        tails="野=no;原=hara;谷=tani;嶺=mine;浦=ura;沢=sawa",
        home=("Osaka",),
        family_first=True,
    ),
    NamePool(
        given="晓岚=xiaolan;子墨=zimo;雨桐=yutong;浩然=haoran;思远=siyuan;欣怡=xinyi;明哲=mingzhe;若曦=ruoxi;天佑=tianyou;"
        "静雯=jingwen;俊熙=junxi;梦琪=mengqi;志远=zhiyuan;诗涵=shihan",
        heads="云=yun;凌=ling;柳=liu;沐=mu;欧阳=ouyang;司空=sikong;百里=baili;东方=dongfang;上官=shangguan;慕容=murong",
        tails="",
        home=("Singapore",),
        family_first=True,
    ),
    NamePool(
        given="서연=seoyeon;도윤=doyun;하은=haeun;시우=siu;지아=jia;주원=juwon;수아=sua;건우=geonu;다은=daeun;예준=yejun;"
        "소율=soyul;은찬=eunchan",
        heads="남궁=namgung;황보=hwangbo;제갈=jegal;선우=seonu;독고=dokgo;서문=seomun;가람=garam;노을=noeul;다솜=dasom;마루=maru;바람=baram;하늘=haneul;소담=sodam;여울=yeoul",
        tails="",
        home=("Osaka", "Singapore"),
        family_first=True,
    ),
    NamePool(
        given="Aarav;Bhavna;Chirag;Divya;Eshan;Gauri;Harish;Ishani;Jatin;Kavya;Lakshmi;Manoj;Nandini;Omkar;Pooja;Rohan;"
        "Sunita;Tarun;Urvashi;Vikram",
        heads="Chandra;Surya;Megha;Vana;Nila;Hima;Tara;Sagara",
        tails="kanthi;murali;prasadi;vardhana;shekari;nathula;devani",
        home=("Pune", "Singapore"),
    ),
    NamePool(
        given="Amina;Babajide;Chiamaka;Dayo;Efua;Folasade;Gideon;Halima;Ifeoma;Jabari;Kwame;Lerato;Makena;Nnamdi;"
        "Olúwaseun;Thandiwe;Wanjiru;Yaa;Zawadi;Karim;Nour;Rashid;Salma;Yasmin",
        heads="Ade;Oko;Mwa;Nde;Kala;Zuri;Bala;Tafa",
        tails="bayowa;nkemelu;langizi;werindo;mbiko;rikwe;tundeji;sabalo",
        home=("Nairobi", "Bristol"),
    ),
)
