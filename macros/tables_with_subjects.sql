{# Every table of this project that holds rows of persons, with the scope and the column by which they are found there: a list of
   {model, relation (none before its first build), scope, column}. Usage: {% for table in tables_with_subjects() %} #}
{% macro tables_with_subjects() -%}
    {%- set tables = [] -%}
    {%- for node in (graph.nodes.values() if execute else []) | sort(attribute = 'name') -%}
        {%- set scope = ['object', 'customer', 'event'] | select('in', node.columns | map('replace', '_id', '') | list) | first -%}
        {%- if
            node.resource_type == 'model'
            and node.config.materialized in ('table', 'incremental')
            and 'erasure' not in node.fqn
            and scope
        -%}
            {%- do tables.append({
                'model': node.name,
                'relation': held_relation(node.name),
                'scope': scope,
                'column': scope ~ '_id',
            }) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(tables) }}
{%- endmacro %}
