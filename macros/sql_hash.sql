{# A hash of the SQL of some models of this project as it is written, whatever its spaces and line ends. Macros that it calls are not
   in it. Usage: '{{ sql_hash(['dataset_candidates', 'observed_objects']) }}' #}
{% macro sql_hash(models) -%}
    {%- set texts = [] -%}
    {%- for model in models if execute -%}
        {%- do texts.append(graph.nodes['model.' ~ project_name ~ '.' ~ model].raw_code.split() | join(' ')) -%}
    {%- endfor -%}
    {{ return(local_md5(texts | join('\n'))) }}
{%- endmacro %}
